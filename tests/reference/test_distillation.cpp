// SinSR against its released code; RSD and ResShift-VSD against an independent computation of the paper's equations in float64.
#include <fstream>

#include <fmt/format.h>

#include "core/image.h"
#include "core/random.h"
#include "core/resize.h"
#include "diffusion/restorer.h"
#include "tests/support/network_cases.h"
#include "tests/support/reference.h"
#include "tests/support/synthetic.h"
#include "trainers/rsd_trainer.h"
#include "trainers/sinsr_trainer.h"

namespace lpnsr::testing {
namespace {

// SinSR's configurations count the LR channels, and the student's noise, among in_channels and know no lq_size.
SwinUNetOptions one_step_unet(const ReferenceCase& golden) {
  auto config = golden.description.at("config").at("unet");
  config["lq_size"] = config.at("image_size");
  config["in_channels"] = config.at("out_channels");
  return unet_options(config);
}

template <class Network>
Network filled(Network network, const ReferenceCase& golden, const std::string& tag, torch::Dtype type = torch::kFloat) {
  fill_synthetic(*network, golden.description.at("weights").at(tag).at("salt"));
  network->eval();
  network->to(type);
  return network;
}

Autoencoder filled_autoencoder(const ReferenceCase& golden, torch::Dtype type = torch::kFloat) {
  return filled(Autoencoder(autoencoder_options(golden.description.at("config").at("vqgan"))), golden, "vae", type);
}

ScheduleOptions schedule_of(const nlohmann::json& diffusion) {
  ScheduleOptions options;
  options.steps = diffusion.at("steps");
  options.kappa = diffusion.at("kappa");
  // SinSR's copy of the schedule starts no later than at eta = 0.001, which alters the one of four steps.
  options.min_noise_level = std::min(diffusion.at("min_noise_level").get<double>(), options.kappa * std::sqrt(0.001));
  options.etas_end = diffusion.at("etas_end");
  options.power = diffusion.at("schedule_kwargs").at("power");
  return options;
}

SystemOptions system_of(const ReferenceCase& golden, const std::string& method) {
  SystemOptions system;
  system.schedule = schedule_of(golden.description.at("config").at("diffusion"));
  system.denoiser = one_step_unet(golden);
  system.autoencoder = autoencoder_options(golden.description.at("config").at("vqgan"));
  system.sampling.method = method;
  return system;
}

void expect_tensor(const ReferenceCase& golden, const std::string& name, const at::Tensor& got) {
  const auto [atol, rtol] = golden.tolerance(name);
  EXPECT_TRUE(close(got, golden.at(name), atol, rtol)) << name;
}

// The norms of all gradients and those that are stored whole, under "grad_norms/NAME" and "grad/NAME/KEY".
void expect_gradients(const ReferenceCase& golden, const std::string& name, const at::Tensor& loss, torch::nn::Module& network) {
  std::vector<std::string> keys;
  std::vector<at::Tensor> parameters;
  for (const auto& parameter : network.named_parameters()) {
    keys.push_back(parameter.key());
    parameters.push_back(parameter.value());
  }
  const auto gradients =
      torch::autograd::grad({loss}, parameters, {}, /*retain_graph=*/true, /*create_graph=*/false, /*allow_unused=*/true);
  std::vector<at::Tensor> norms;
  for (size_t i = 0; i < keys.size(); ++i) {
    norms.push_back(gradients[i].defined() ? gradients[i].to(torch::kFloat64).norm() : torch::zeros({}, torch::kFloat64));
    const std::string key = "grad/" + name + "/" + keys[i];
    if (golden.tensors.contains(key)) expect_tensor(golden, key, gradients[i]);
  }
  expect_tensor(golden, "grad_norms/" + name, torch::stack(norms));
}

TEST(SinSRReference, DeterministicStep) {
  LPNSR_REQUIRE_GOLDENS();
  const auto golden = load_case("distillation/sinsr_schedule");
  for (const std::string name : {"resshift_T15", "T4"}) {
    const ResidualShift process(make_schedule(schedule_of(golden.description.at("config").at(name))));
    const at::Tensor x0 = golden.input(name + "/x0"), y = golden.input(name + "/y"), x_t = golden.input(name + "/xt");
    std::vector<at::Tensor> steps;
    std::vector<double> k, m, j;
    for (int64_t t = 0; t < process.steps(); ++t) {
      const auto step = process.deterministic_step(t);
      EXPECT_NEAR(step.k + step.m + step.j, 1.0, 1e-12);
      k.push_back(step.k);
      m.push_back(step.m);
      j.push_back(step.j);
      steps.push_back(process.deterministic_step(x_t, x0, y, t));
    }
    EXPECT_EQ(k[0], 1.0);
    EXPECT_EQ(m[0], 0.0);
    EXPECT_EQ(j[0], 0.0);
    expect_tensor(golden, name + "/step", torch::stack(steps));
    for (const auto& [key, values] : {std::pair{"/k", k}, std::pair{"/m", m}, std::pair{"/j", j}}) {
      const at::Tensor ours = torch::tensor(values, torch::kFloat64);
      EXPECT_TRUE(close(ours, golden.at(name + key), 1e-12, 1e-12)) << name << key;
      EXPECT_TRUE(close(ours, golden.at(name + "/used_float32" + key).to(torch::kFloat64), 2e-7, 1e-6)) << name << key;
    }
    EXPECT_TRUE(close(torch::tensor(process.schedule().eta, torch::kFloat64), golden.at(name + "/etas"), 1e-12, 1e-12)) << name;
    // The step at T solved for x_T: what SinSR calls the inverse.
    const at::Tensor inverse = (x_t - k.back() * x0 - j.back() * y) / m.back();
    expect_tensor(golden, name + "/inverse_step_last", inverse);
  }
}

// Where two codes are nearly as close the reference itself flips.
void expect_picture(const ReferenceCase& golden, const Quantised& quantised, const at::Tensor& image) {
  const auto differs = (quantised.indices != golden.at("sr_indices").to(torch::kInt64)).logical_and(golden.at("sr_gap") > 1e-4);
  ASSERT_FALSE(differs.any().item<bool>());
  const int64_t stride = image.size(2) / golden.at("sr").size(2);
  expect_tensor(golden, "sr", image.slice(2, 0, {}, stride).slice(3, 0, {}, stride));
}

TEST(SinSRReference, LrOfAnotherSizeThanTheLatent) {
  LPNSR_REQUIRE_GOLDENS();
  const torch::NoGradGuard no_grad;
  const auto golden = load_case("distillation/sinsr_lq_sizes");
  const at::Tensor x = golden.input("x");
  for (const std::string name : {"same", "smaller", "larger"}) {
    const auto condition = condition_of_size(golden.input(name + "/lq"), x.size(2), x.size(3));
    SwinUNetOptions options = one_step_unet(golden);
    options.cond_lq = false;
    options.in_channels = 3 + condition.size(1);
    const auto network = filled(SwinUNet(options), golden, "unet_" + name);
    const at::Tensor last = torch::full({1}, 14, torch::kInt64);
    expect_tensor(golden, name + "/out", network.ptr()->forward(torch::cat({x, condition}, 1), last, {}));
  }
}

void expect_equal(const at::Tensor& got, const at::Tensor& want) { EXPECT_TRUE(close(got, want, 1e-6, 1e-6)); }

void check_one_step(const std::string& name, int64_t noise_channels) {
  SCOPED_TRACE(name);
  const torch::NoGradGuard no_grad;
  const auto golden = load_case("distillation/" + name);
  const ResidualShift process(make_schedule(schedule_of(golden.description.at("config").at("diffusion"))));
  SwinUNetOptions options = one_step_unet(golden);
  options.noise_channels = noise_channels;
  const auto student = filled(SwinUNet(options), golden, noise_channels > 0 ? "student" : "unet");
  auto autoencoder = filled_autoencoder(golden);
  const auto lr = picture_of_bytes(golden.at("lr_u8")).unsqueeze(0);
  SamplerInputs inputs;
  inputs.lq = lr * 2 - 1;
  inputs.y0 = autoencoder->encode(resize_bicubic_scale(lr, 4) * 2 - 1);
  if (golden.tensors.contains("z_y")) expect_tensor(golden, "z_y", inputs.y0);

  SamplerOptions sampling;
  sampling.method = "one_step";
  const Sampler sampler(process, student, NoisePredictor(nullptr), sampling);
  auto generator = make_generator(golden.description.at("config").at("seed").get<uint64_t>());
  std::vector<std::string> order = {"draw/0", "draw/1"};
  if (noise_channels > 0) order.insert(order.begin(), "noise_channel");
  EXPECT_EQ(sampler.draws().size(), order.size());
  size_t drawn = 0;
  const auto draw = [&](at::IntArrayRef shape) {
    const auto noise = torch::randn(shape, generator, at::TensorOptions(torch::kFloat32));
    const std::string& which = order.at(drawn++);
    if (golden.tensors.contains(which)) expect_equal(noise, golden.at(which));
    return noise;
  };
  const auto observe = [&](const ChainState& state) {
    if (golden.tensors.contains("z_T_scaled")) expect_tensor(golden, "z_T_scaled", state.x_t_scaled);
  };
  const auto x0 = sampler.sample(inputs, draw, observe);
  EXPECT_EQ(drawn, order.size());
  expect_tensor(golden, "pred_x0", x0);
  const auto quantised = autoencoder->quantise(x0);
  expect_picture(golden, quantised, autoencoder->decode_not_quantised(quantised.latent).clamp(-1, 1));

  if (!golden.tensors.contains("ddim15/sample")) return;
  sampling.method = "deterministic";
  std::vector<at::Tensor> predictions, samples;
  const Sampler teacher(process, student, NoisePredictor(nullptr), sampling);
  const auto given = [&](at::IntArrayRef) { return golden.at("draw/0"); };
  const auto last = teacher.sample(inputs, given, [&](const ChainState& state) {
    predictions.push_back(state.pred_x0[0]);
    if (state.index + 1 < process.steps()) samples.push_back(state.x_t[0]);
  });
  samples.push_back(last[0]);
  expect_tensor(golden, "ddim15/pred_x0", torch::stack(predictions));
  expect_tensor(golden, "ddim15/sample", torch::stack(samples));
}

TEST(SinSRReference, OneStepAndTheTeachersChain) {
  LPNSR_REQUIRE_GOLDENS();
  for (const std::string name : {"sinsr_infer_tinyA", "sinsr_infer_tinyB_16x32", "sinsr_infer_full_64"}) check_one_step(name, 0);
}

TEST(RsdReference, OneStep) {
  LPNSR_REQUIRE_GOLDENS();
  check_one_step("rsd_infer", 1);
}

TEST(SinSRReference, PaddingPatchesAndRounding) {
  LPNSR_REQUIRE_GOLDENS();
  for (const std::string name : {"sinsr_pad_13x21", "sinsr_chop_37x45"}) {
    const auto golden = load_case("distillation/" + name);
    const auto& config = golden.description.at("config");
    RestoreOptions options;
    options.procedure = "sinsr";
    options.color_fix = "none";
    options.pad_multiple = config.at("desired_min_size");
    options.tile = config.at("chop_size");
    options.tile_stride = config.at("chop_stride");
    options.seed = config.at("seed").get<uint64_t>();
    for (const int64_t batch : {1, 3}) {
      options.tile_batch = batch;
      const Restorer restorer(system_of(golden, "one_step"), options, filled(SwinUNet(one_step_unet(golden)), golden, "unet"),
                              NoisePredictor(nullptr), filled_autoencoder(golden), bicubic_pre_upsampler(4));
      const auto image = restorer.restore(picture_of_bytes(golden.at("lr_u8")));
      expect_tensor(golden, "image", image.unsqueeze(0));
      EXPECT_EQ(restorer.rounding(), Rounding::nearest);
      expect_tensor(golden, "image_u8", to_uint8(image, restorer.rounding()).permute({1, 2, 0}).to(torch::kInt32));
    }
  }
}

TEST(SinSRReference, DistillationLoss) {
  LPNSR_REQUIRE_GOLDENS();
  for (const std::string name : {"sinsr_distill_start", "sinsr_distill_tinyA"}) {
    const auto golden = load_case("distillation/" + name);
    const bool start = name == "sinsr_distill_start";
    Experiment experiment;
    experiment.system = system_of(golden, "one_step");
    SinSRTrainer::Networks networks;
    networks.teacher = filled(SwinUNet(one_step_unet(golden)), golden, "teacher", torch::kFloat64);
    networks.student = start ? widened(networks.teacher, one_step_unet(golden))
                             : filled(SwinUNet(one_step_unet(golden)), golden, "student", torch::kFloat64);
    networks.autoencoder = filled_autoencoder(golden, torch::kFloat64);
    SinSRTrainer trainer(experiment, networks);
    const auto in_unit_range = [&](const char* key) { return golden.input(key).to(torch::kFloat64) / 2 + 0.5; };
    std::vector<at::Tensor> predictions;
    const auto losses = trainer.losses({in_unit_range("gt"), in_unit_range("lq"), {}, {}}, golden.input("noise").to(torch::kFloat64),
                                       [&](const ChainState& state) { predictions.push_back(state.pred_x0.narrow(0, 0, 1)); });
    for (const auto& [key, got] : std::map<std::string, at::Tensor>{{"z_y", losses.z_y},
                                                                    {"z0_gt", losses.z0},
                                                                    {"z_T", losses.z_T},
                                                                    {"z0_teacher", losses.z0_teacher},
                                                                    {"teacher/pred_x0", torch::stack(predictions)},
                                                                    {"student/x0_from_zT", losses.forward},
                                                                    {"student/xT_from_teacher", losses.inverse},
                                                                    {"student/xT_from_gt", losses.of_truth},
                                                                    {"student/x0_from_xT_from_gt", losses.again},
                                                                    {"loss/mse", losses.distillation},
                                                                    {"loss/mse_xT", losses.inversion},
                                                                    {"loss/mse_gt", losses.truth},
                                                                    {"loss/loss", losses.total}}) {
      expect_tensor(golden, key, got);
    }
    if (start) {
      EXPECT_TRUE(close(losses.forward, predictions.front(), 1e-12, 0));
      continue;
    }
    for (const auto& [key, loss] : {std::pair{"mse", losses.distillation}, std::pair{"mse_xT", losses.inversion},
                                    std::pair{"mse_gt", losses.truth}, std::pair{"loss", losses.total}}) {
      expect_gradients(golden, key, loss.mean(), *networks.student);
    }
  }
}

TEST(RsdReference, TheStudentBeginsAsItsTeacher) {
  LPNSR_REQUIRE_GOLDENS();
  const auto golden = load_case("distillation/rsd_init");
  const auto teacher = filled(SwinUNet(one_step_unet(golden)), golden, "teacher");
  SwinUNetOptions options = one_step_unet(golden);
  options.noise_channels = 1;
  auto student = widened(teacher, options);
  const at::Tensor t = golden.at("t");
  const auto out = student->forward(golden.input("x"), t, golden.input("lq"), golden.input("noise"));
  EXPECT_TRUE(out.equal(teacher.ptr()->forward(golden.input("x"), t, golden.input("lq"))));
  expect_tensor(golden, "out", out);
  const at::Tensor first = student->named_parameters()["input_blocks.0.0.weight"];
  const auto gradient = torch::autograd::grad({(out * golden.input("probe")).mean()}, {first})[0];
  expect_tensor(golden, "grad_noise_channel", gradient.narrow(1, first.size(1) - 1, 1));
}

TEST(RsdReference, FullSizeNetworksHaveTheStatedShapes) {
  LPNSR_REQUIRE_GOLDENS();
  const auto compare = [](const torch::nn::Module& module, const std::string& manifest) {
    const auto entries = nlohmann::json::parse(std::ifstream(goldens() / "distillation/manifests" / (manifest + ".json")));
    const StateDict state = state_dict(module);
    EXPECT_EQ(state.size(), entries.size()) << manifest;
    for (const auto& entry : entries) {
      const at::Tensor* tensor = state.find(entry[0]);
      ASSERT_NE(tensor, nullptr) << entry[0];
      EXPECT_EQ(tensor->sizes().vec(), entry[1].get<std::vector<int64_t>>()) << entry[0];
    }
  };
  SwinUNetOptions options;
  compare(*SwinUNet(options), "sinsr_unet");
  options.noise_channels = 1;
  compare(*SwinUNet(options), "rsd_student_unet");
  compare(*EncoderHead(feature_channels(options)), "rsd_head_assumed");
}

TEST(RsdReference, Head) {
  LPNSR_REQUIRE_GOLDENS();
  const auto golden = load_case("distillation/rsd_head");
  auto head = filled(EncoderHead(640), golden, "head", torch::kFloat64);
  const at::Tensor x = golden.input("x").to(torch::kFloat64).requires_grad_(true);
  const at::Tensor fake = head->forward(x), real = head->forward(golden.input("y").to(torch::kFloat64));
  expect_tensor(golden, "logits_fake", fake);
  expect_tensor(golden, "logits_real", real);
  const auto loss = discriminator_loss(real, fake, GanObjective::vanilla);
  expect_tensor(golden, "loss_d", loss.real + loss.fake);
  const at::Tensor generator = generator_loss(fake, GanObjective::vanilla);
  expect_tensor(golden, "loss_g", generator);
  const auto gradient = torch::autograd::grad({generator}, {x}, {}, true)[0];
  expect_tensor(golden, "grad_x/loss_g", gradient.slice(1, 0, {}, 16));
  expect_gradients(golden, "head/loss_d", loss.real + loss.fake, *head);
}

struct RsdCase {
  RsdCase(const std::string& name, const std::string& features = "encoder") : golden(load_case("distillation/" + name)) {
    const auto type = torch::kFloat64;
    const bool vsd = name == "vsd_student_step";
    experiment.system = system_of(golden, "one_step");
    experiment.losses.lpips = vsd ? 0.0 : 2.0;
    experiment.losses.gan = vsd ? 0.0 : 3e-3;
    experiment.distillation.features = features;
    experiment.distillation.start = vsd ? "prior" : "truth";
    const SwinUNetOptions plain = one_step_unet(golden);
    experiment.system.denoiser.noise_channels = vsd ? 0 : 1;
    networks.teacher = filled(SwinUNet(plain), golden, "teacher", type);
    networks.student = filled(SwinUNet(experiment.system.denoiser), golden, "student", type);
    EncoderHead head(nullptr);
    if (!vsd) head = filled(EncoderHead(feature_channels(plain)), golden, "head", type);
    networks.fake = std::make_shared<FakeNetwork>(filled(SwinUNet(plain), golden, "fake", type), head);
    networks.autoencoder = filled_autoencoder(golden, type);
    const auto in = [&](const char* key) { return golden.input(key).to(type); };
    batch = {in("z0"), in("z_y"), in("lq"), in("x_gt")};
    draws.eps_n = in("eps_tn");
    draws.eps_t = in("eps_t");
    draws.eps_T = in("eps_T");
    if (!vsd) {
      draws.noise_n = in("noise_tn");
      draws.noise_T = in("noise_T");
    }
    const auto& config = golden.description.at("config");
    draws.t = torch::tensor(config.at("t").get<std::vector<int64_t>>());
    const int64_t count = draws.t.size(0);
    draws.t_n = config.contains("t_n") && !config.at("t_n").is_null() ? torch::tensor(config.at("t_n").get<std::vector<int64_t>>())
                                                                      : torch::full({count}, 14, torch::kInt64);
  }
  RsdTrainer trainer() {
    if (experiment.losses.lpips <= 0) return RsdTrainer(experiment, networks, PerceptualLoss());
    Lpips lpips(LpipsNetwork::alex);
    fill_synthetic(*lpips, golden.description.at("weights").at("lpips").at("salt"), {"scaling_layer."});
    const torch::NoGradGuard no_grad;
    for (auto& parameter : lpips->named_parameters()) {
      if (parameter.key().starts_with("lin")) parameter.value().abs_();
    }
    lpips->to(torch::kFloat64);
    return RsdTrainer(experiment, networks, PerceptualLoss(lpips));
  }
  ReferenceCase golden;
  Experiment experiment;
  RsdTrainer::Networks networks;
  RsdTrainer::Latents batch;
  RsdTrainer::Draws draws;
};

TEST(RsdReference, FakeStep) {
  LPNSR_REQUIRE_GOLDENS();
  RsdCase rsd("rsd_fake_step");
  const auto step = rsd.trainer().fake_step(rsd.batch, rsd.draws);
  for (const auto& [key, got] : std::map<std::string, at::Tensor>{{"z_tn", step.z_n},
                                                                  {"zhat", step.z0},
                                                                  {"z_t", step.z_t},
                                                                  {"fake_out", step.prediction},
                                                                  {"loss_fake", step.loss},
                                                                  {"logits_fake", step.logits_fake},
                                                                  {"logits_real", step.logits_real},
                                                                  {"loss_d", step.adversarial},
                                                                  {"loss_total", step.total}}) {
    expect_tensor(rsd.golden, key, got);
  }
  expect_gradients(rsd.golden, "fake/loss_fake", step.loss.mean(), *rsd.networks.fake->network);
  expect_gradients(rsd.golden, "fake/loss_total", step.total, *rsd.networks.fake->network);
  expect_gradients(rsd.golden, "head/loss_total", step.total, *rsd.networks.fake->head);
  RsdCase middle("rsd_fake_step", "middle");
  const auto other = middle.trainer().fake_step(middle.batch, middle.draws);
  expect_tensor(middle.golden, "alt_middle/logits_fake", other.logits_fake);
  expect_tensor(middle.golden, "alt_middle/logits_real", other.logits_real);
}

at::Tensor gradient_in(const at::Tensor& loss, const at::Tensor& of) {
  return torch::autograd::grad({loss}, {of}, {}, /*retain_graph=*/true)[0];
}

void check_student_step(const std::string& name) {
  SCOPED_TRACE(name);
  RsdCase rsd(name);
  auto trainer = rsd.trainer();
  const auto step = trainer.student_step(rsd.batch, rsd.draws);
  std::map<std::string, at::Tensor> values = {{"z_tn", step.z_n},
                                              {"zhat", step.z0},
                                              {"z_t", step.z_t},
                                              {"teacher_out", step.teacher},
                                              {"fake_out", step.fake},
                                              {"loss_theta", step.theta},
                                              {"sid_norm", step.normaliser}};
  const at::Tensor normalised = step.theta / step.normaliser;
  values["loss_theta_normalised"] = normalised;
  values["grad_zhat/theta"] = gradient_in(step.theta.sum(), step.z0);
  values["grad_zhat/theta_normalised"] = gradient_in(normalised.sum(), step.z0);
  auto& student = *rsd.networks.student;
  expect_gradients(rsd.golden, "student/theta_normalised", normalised.mean(), student);
  if (step.lpips.defined()) {
    values["z_T"] = step.z_T;
    values["zhat_T"] = step.z0_T;
    values["loss_lpips"] = step.lpips;
    values["decoded_every4"] = step.image.slice(2, 0, {}, 4).slice(3, 0, {}, 4);
    values["logits_fake"] = step.logits;
    values["loss_g"] = step.adversarial;
    values["grad_zhat/gan"] = gradient_in(step.adversarial, step.z0);
    values["loss_total"] = step.total;
    expect_gradients(rsd.golden, "student/lpips", step.lpips.mean(), student);
    expect_gradients(rsd.golden, "student/gan", step.adversarial, student);
    expect_gradients(rsd.golden, "student/total", step.total, student);
  }
  for (const auto& [key, got] : values) expect_tensor(rsd.golden, key, got);

  RsdCase stopped(name);
  stopped.experiment.distillation.stop_gradient = true;
  const auto vsd = stopped.trainer().student_step(stopped.batch, stopped.draws);
  EXPECT_TRUE(close(vsd.theta, step.theta, 1e-12, 0));
  expect_tensor(stopped.golden, "grad_zhat/vsd", gradient_in(vsd.theta.sum(), vsd.z0));
  expect_gradients(stopped.golden, "student/vsd_normalised", (vsd.theta / vsd.normaliser).mean(), *stopped.networks.student);
}

TEST(RsdReference, StudentStep) {
  LPNSR_REQUIRE_GOLDENS();
  check_student_step("rsd_student_step");
}

TEST(RsdReference, VsdStudentStep) {
  LPNSR_REQUIRE_GOLDENS();
  check_student_step("vsd_student_step");
}

}  // namespace
}  // namespace lpnsr::testing
