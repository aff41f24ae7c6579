#include "tools/forward_modules.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/autocast.h"
#include "core/checkpoint.h"
#include "core/config.h"
#include "core/error.h"
#include "core/log.h"
#include "diffusion/autoencoder.h"
#include "diffusion/noise_predictor.h"
#include "diffusion/rrdbnet.h"
#include "diffusion/swin_unet.h"
#include "diffusion/swinir.h"
#include "losses/discriminator.h"
#include "tools/forward_inputs.h"
#include "tools/forward_metrics.h"

namespace lpnsr {
namespace {

// Keys of the published files that leave no choice here.
template <class Options>
void published_keys(Options& /*options*/, FieldVisitor& /*visitor*/) {}

void published_keys(SwinUNetOptions& /*options*/, FieldVisitor& visitor) {
  bool use_fp16 = false;
  int64_t dims = 2;
  visitor.boolean("use_fp16", use_fp16, "no effect: --precision decides");
  visitor.integer("dims", dims, {2, 2}, "images have two");
}

void published_keys(AutoencoderOptions& options, FieldVisitor& visitor) {
  struct {
    std::string padding_mode = "zeros";
    void fields(FieldVisitor& v) { v.choice("padding_mode", padding_mode, {"zeros"}, "of the convolutions"); }
  } ddconfig;
  visitor.integer("rank", options.lora_rank, {1.0}, "the published name of lora_rank");
  visitor.section("ddconfig", ddconfig, "");
}

template <class Options>
Options configure(const ForwardRequest& request) {
  Options options;
  const FieldList fields = [&options](FieldVisitor& visitor) {
    options.fields(visitor);
    published_keys(options, visitor);
  };
  if (request.config) {
    read_config(fields, *request.config, request.set);
  } else {
    read_config_text(fields, "", "the published architecture", request.set);
  }
  return options;
}

template <class Holder>
Holder prepare(Holder module, const ForwardRequest& request, StateDict (*rename)(const StateDict&) = nullptr) {
  const auto& file = request.weights.front();
  const StateDict weights = read_weights(file).tensors;
  load_strictly(*module, rename == nullptr ? weights : rename(weights), file.string());
  module->eval();
  module->to(request.device);
  return module;
}

StateDict one_result(const std::string& name, at::Tensor tensor) {
  StateDict results;
  results.add(name, std::move(tensor));
  return results;
}

// SinSR's and RSD's configurations count the LR channels, and the noise's, among in_channels and know no lq_size.
bool counts_all_channels(const SwinUNetOptions& options, const at::Tensor* x) {
  return options.cond_lq && options.in_channels >= options.out_channels + 3 && x != nullptr && x->dim() == 4 &&
         x->size(1) == options.out_channels;
}

StateDict run_counting_denoiser(SwinUNetOptions options, const ForwardRequest& request, const ForwardInputs& inputs) {
  const auto x = inputs.images("x", options.out_channels);
  const auto t = inputs.indices("t", x.size(0));
  std::vector<at::Tensor> all{x, condition_of_size(inputs.images("lq", 3, x.size(0)), x.size(2), x.size(3))};
  options.in_channels += std::exchange(options.noise_channels, 0);
  const int64_t noise = options.in_channels - x.size(1) - all.back().size(1);
  if (noise < 0) {
    throw DataError(fmt::format("{}: denoiser: in_channels is {}, but x has {} and tensor 'lq' gives {}", request.inputs_origin,
                                options.in_channels, x.size(1), all.back().size(1)));
  }
  if (noise > 0) all.push_back(inputs.images("noise", noise, x.size(0)));
  options.cond_lq = false;
  return one_result("out", prepare(SwinUNet(options), request)->forward(at::cat(all, 1), t, {}));
}

StateDict run_denoiser(const ForwardRequest& request, const ForwardInputs& inputs) {
  const auto options = configure<SwinUNetOptions>(request);
  if (counts_all_channels(options, request.inputs.find("x"))) return run_counting_denoiser(options, request, inputs);
  const auto x = inputs.images("x", options.in_channels);
  const auto t = inputs.indices("t", x.size(0));
  const auto lq = inputs.images("lq", 3, x.size(0));
  const auto noise = options.noise_channels > 0 ? inputs.images("noise", options.noise_channels, x.size(0)) : at::Tensor();
  return one_result("out", prepare(SwinUNet(options), request)->forward(x, t, lq, noise));
}

StateDict run_noise_predictor(const ForwardRequest& request, const ForwardInputs& inputs) {
  const auto options = configure<SwinUNetOptions>(request);
  const auto x = inputs.images("x", options.in_channels);
  const auto x0 = inputs.images_like("x0", x, "x");
  const auto lq = inputs.images("lq", 3, x.size(0));
  const auto t = inputs.indices("t", x.size(0));
  const auto noise = prepare(NoisePredictor(options), request)->forward(x, x0, lq, t);
  StateDict results;
  results.add("mean", noise.mean);
  results.add("logvar", noise.logvar);
  return results;
}

StateDict run_encoder(const ForwardRequest& request, const ForwardInputs& inputs) {
  const auto options = configure<AutoencoderOptions>(request);
  const auto image = inputs.images("image", options.ddconfig.in_channels);
  return one_result("latent", prepare(Autoencoder(options), request)->encode(image));
}

StateDict run_decoder(const ForwardRequest& request, const ForwardInputs& inputs) {
  const auto options = configure<AutoencoderOptions>(request);
  const auto latent = inputs.images("latent", options.embed_dim);
  auto autoencoder = prepare(Autoencoder(options), request);
  const auto quantised = autoencoder->quantise(latent);
  StateDict results;
  results.add("image", autoencoder->decode_not_quantised(quantised.latent));
  results.add("indices", quantised.indices);
  return results;
}

StateDict run_swinir(const ForwardRequest& request, const ForwardInputs& inputs) {
  const auto options = configure<SwinIROptions>(request);
  const auto image = inputs.images("image", options.in_chans);
  return one_result("image", prepare(SwinIR(options), request)->forward(image));
}

StateDict run_rrdbnet(const ForwardRequest& request, const ForwardInputs& inputs) {
  const auto options = configure<RRDBNetOptions>(request);
  const auto image = inputs.images("image", options.num_in_ch);
  return one_result("image", prepare(RRDBNet(options), request, rename_old_rrdb_keys)->forward(image));
}

// In eval mode: the spectral norm uses the vectors of the file and makes no power iteration.
StateDict run_discriminator(const ForwardRequest& request, const ForwardInputs& inputs) {
  const auto options = configure<DiscriminatorOptions>(request);
  const auto image = inputs.images("image", options.input_nc);
  return one_result("logits", prepare(Discriminator(options), request)->forward(image));
}

struct Module {
  const char* name;
  const char* inputs;
  const char* outputs;
  StateDict (*run)(const ForwardRequest&, const ForwardInputs&);
};

constexpr Module kModules[] = {
    {"denoiser", "x, t (int64 [N]), lq, noise where noise_channels says so", "out", run_denoiser},
    {"noise_predictor", "x, x0, lq, t (int64 [N])", "mean, logvar", run_noise_predictor},
    {"autoencoder.encode", "image in [-1,1]", "latent", run_encoder},
    {"autoencoder.decode", "latent", "image, indices (int64)", run_decoder},
    {"swinir", "image in [0,1]", "image", run_swinir},
    {"rrdbnet", "image in [0,1]", "image", run_rrdbnet},
    {"discriminator", "image", "logits", run_discriminator},
};

const Module& find_module(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& module : kModules) {
    if (name == module.name) return module;
    names.emplace_back(module.name);
  }
  for (const auto& metric : forward_metrics()) names.push_back(metric.name);
  throw UsageError(fmt::format("unknown module '{}'{}; there are {}", name, did_you_mean(name, names), fmt::join(names, ", ")));
}

}  // namespace

std::vector<ForwardDescription> forward_modules() {
  std::vector<ForwardDescription> descriptions;
  for (const auto& module : kModules) descriptions.push_back({module.name, module.inputs, module.outputs});
  const auto metrics = forward_metrics();
  descriptions.insert(descriptions.end(), metrics.begin(), metrics.end());
  return descriptions;
}

void check_forward(const ForwardRequest& request) {
  if (is_forward_metric(request.module)) return check_forward_metric(request);
  const Module& module = find_module(request.module);
  const size_t files = request.weights.size();
  if (files == 0) throw UsageError(fmt::format("{} needs its weights: --weights FILE", module.name));
  if (files > 1) throw UsageError(fmt::format("{} takes one file of weights; {} were given", module.name, files));
}

StateDict run_forward_module(const ForwardRequest& request) {
  const c10::InferenceMode inference;
  const AutocastScope autocast(request.device, request.precision);
  const ForwardInputs inputs(request.inputs, fmt::format("{}: {}", request.inputs_origin, request.module), request.device);
  StateDict results;
  const bool metric = is_forward_metric(request.module);
  for (const auto& [name, tensor] : metric ? run_forward_metric(request, inputs) : find_module(request.module).run(request, inputs)) {
    const auto type = tensor.is_floating_point() ? at::kFloat : tensor.scalar_type();
    results.add(name, tensor.to(at::kCPU, type).contiguous());
  }
  inputs.warn_about_unused();
  return results;
}

}  // namespace lpnsr
