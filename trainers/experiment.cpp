#include "trainers/experiment.h"

#include "core/device.h"

namespace lpnsr {

void OptimizerOptions::fields(FieldVisitor& v) {
  v.section("learning_rate", learning_rate, "learning rate and its schedule");
  v.real("beta1", beta1, probability, "AdamW's first moment");
  v.real("beta2", beta2, probability, "AdamW's second moment");
  v.real("eps", eps, positive, "AdamW's epsilon");
  v.real("weight_decay", weight_decay, non_negative, "decoupled weight decay");
  v.real("clip_norm", clip_norm, non_negative, "largest global gradient norm; 0: no clipping");
  v.real("ema_rate", ema_rate, probability, "rate of the moving average of the weights; 0: none");
}

void LossOptions::fields(FieldVisitor& v) {
  v.real("l1", l1, non_negative, "weight of L1 on images in [0,1]");
  v.real("mse", mse, non_negative, "weight of the squared error in latent space (denoiser)");
  v.real("lpips", lpips, non_negative, "weight of LPIPS; 0 removes the network");
  v.real("gan", gan, non_negative, "weight of the adversarial term; 0 removes the discriminator");
  v.real("codebook", codebook, non_negative, "weight of the codebook and commitment loss (autoencoder)");
  v.choice("lpips_network", lpips_network, {"vgg", "alex"}, "backbone of LPIPS");
  v.boolean("clamp_image", clamp_image, "clamp the decoded image to [-1,1] before the losses");
}

void GanOptions::fields(FieldVisitor& v) {
  v.choice("space", space, {"image", "latent"}, "what the discriminator sees");
  v.choice("objective", objective, {"hinge", "vanilla", "lsgan", "wgan"}, "adversarial objective");
  v.real("learning_rate", learning_rate, positive, "constant rate of the discriminator");
  v.integer("start_epoch", start_epoch, Range{1}, "first epoch (from 1) with the adversarial term");
  v.integer("update_every", update_every, Range{1},
            "every N-th iteration, from 0, updates the discriminator instead of the network; 1: both at each");
  v.section("discriminator", discriminator, "PatchGAN");
}

void DistillationOptions::fields(FieldVisitor& v) {
  v.real("inversion", inversion, non_negative, "SinSR: weight of the way back from the teacher's picture to z_T");
  v.real("truth", truth, non_negative, "SinSR: weight of staying with the true picture");
  v.integer("fake_updates", fake_updates, Range{1, 1000}, "RSD: updates of the fake network for each of the student's (K)");
  v.integers("nodes", nodes, Range{1, 1000}, "RSD: t at which the student is trained, from 1; the last is T");
  v.choice("start", start, {"truth", "prior"}, "RSD: what the student starts from: the true picture's z_t, or z_T of the LR picture alone");
  v.boolean("stop_gradient", stop_gradient, "RSD: no gradient through teacher and fake network (variational score distillation)");
  v.boolean("normalise", normalise, "RSD: the student's loss over mean |teacher - prediction| of each picture");
  v.choice("features", features, {"encoder", "middle"}, "RSD: what the discriminator's head sees of the fake network");
}

c10::ScalarType TrainingOptions::computed_in(c10::Device device) const { return usable_precision(device, parse_precision(precision)); }

void TrainingOptions::fields(FieldVisitor& v) {
  v.integer("iterations", iterations, Range{1}, "length of the run, the discriminator's iterations counted in");
  v.integer("batch_size", batch_size, Range{1}, "pictures an iteration");
  v.integer("epoch_length", epoch_length, non_negative, "iterations an epoch; 0: pictures / batch_size");
  v.text("initial_weights", initial_weights, "weights of the trained network to start from; empty: from scratch");
  v.choice("recompute", recompute, {"none", "attention", "all"},
           "activations computed again in the backward pass, for less memory and more time: of the trained network's attention blocks (as "
           "published), or of all blocks, the frozen network's too");
  v.choice("precision", precision, {"fp32", "bf16", "fp16"}, "of convolutions and matrix products; fp16 with a dynamic loss scale");
  v.boolean("cuda_graphs", cuda_graphs,
            "on a GPU: record an iteration's passes as a graph and start it as a whole from then on; keeps the memory of its activations");
  v.integer("parts", parts, Range{1}, "parts of a process' share of the batch, one after the other (gradient accumulation)");
  v.choice("on_not_finite", on_not_finite, {"stop", "skip", "roll_back"},
           "where a loss or gradient is not finite: stop, leave the update out, or go back to the last checkpoint with other pictures");
  v.integer("patience", patience, {1, 86400}, "seconds to wait for another process before giving up");
  v.integer("quantise_after", quantise_after, non_negative, "autoencoder: iterations without quantisation at the start");
  v.integer("restart_codes_every", restart_codes_every, non_negative, "autoencoder: iterations between restarts of unused codes; 0: never");
  v.integer("log_every", log_every, Range{1}, "iterations between lines of metrics");
  v.integer("checkpoint_every", checkpoint_every, Range{1}, "iterations between checkpoints");
  v.integer("keep_checkpoints", keep_checkpoints, Range{1}, "newest checkpoints to keep");
  v.integer("sample_every", sample_every, Range{1}, "iterations between sample grids");
  v.integer("sample_pictures", sample_pictures, non_negative, "pictures in a sample grid");
}

void ValidationOptions::fields(FieldVisitor& v) {
  v.texts("folders", folders, "held-out pictures, as data.folders; none: no validation");
  v.integer("pictures", pictures, non_negative, "how many of them; 0: all");
  v.integer("every", every, Range{1}, "iterations between validations");
  v.texts("metrics", metrics, "as of lpnsr evaluate");
  v.text("best", best, "metric by which the best weights are kept");
}

void Experiment::fields(FieldVisitor& v) {
  v.choice("trainer", trainer, {"noise_predictor", "denoiser", "autoencoder", "sinsr", "rsd"}, "what is trained, or how");
  v.integer("seed", seed, non_negative, "the one seed of all random streams");
  system.fields(v);
  v.section("restore", restore, "padding, patches and colour fix");
  v.section("degradation", degradation, "RealESRGAN pipeline");
  v.section("data", data, "training pictures");
  v.section("optimizer", optimizer, "AdamW");
  v.section("losses", losses, "weights of Eq. 12");
  v.section("gan", gan, "adversarial training");
  v.section("distillation", distillation, "one-step students");
  v.section("training", training, "length, batch and records of the run");
  v.section("validation", validation, "held-out pictures, restored now and then");
}

Experiment load_experiment(const std::filesystem::path& path, const std::vector<std::string>& overrides) {
  Experiment experiment;
  read_config(fields_of(experiment), path, overrides);
  return experiment;
}

}  // namespace lpnsr
