#include "diffusion/sampler.h"

#include <fmt/format.h>

#include "core/error.h"
#include "diffusion/patches.h"

namespace lpnsr {
namespace {

const std::vector<std::string> kMethods = {"chain", "one_step", "deterministic"};
const std::vector<std::string> kNoiseSources = {"predictor", "random", "optimal", "approximate"};
const std::vector<std::string> kPredictorInputs = {"x_t", "x0", "lq"};

bool switched_off(const SamplerOptions& options, int64_t step) {
  return std::find(options.predictor_off.begin(), options.predictor_off.end(), step) != options.predictor_off.end();
}

// A map that a network makes of maps of the same size, patch by patch where they are too large.
at::Tensor over_patches(const SamplerInputs& inputs, const PatchWork& network) {
  const int64_t height = inputs.y0.size(2), width = inputs.y0.size(3);
  if (inputs.patch == 0 || std::max(height, width) <= inputs.patch) return network({{0, 0, height, width}});
  auto grid = seamless_grid(height, width, inputs.patch, 1);
  grid.batch = inputs.patch_batch;
  return blend_patches(grid, network, inputs.y0.scalar_type());
}

}  // namespace

void SamplerOptions::fields(FieldVisitor& v) {
  v.choice("method", method, kMethods,
           "Algorithm 2; the first prediction alone (SinSR, RSD); or the chain without noise (SinSR's teacher)");
  v.integer("steps", steps, Range{0, 1000}, "sampling steps; 0: all of the schedule. Fewer start later in the same chain (Eq. 3)");
  v.integer("start_step", start_step, Range{0, 1000}, "paper's t to start at; 0: the same as steps");
  v.choice("noise", noise, kNoiseSources, "where the noise of the intermediate steps comes from (Table 5)");
  v.integers("predictor_off", predictor_off, Range{2, 1000}, "paper's t at which a random draw replaces the predictor (Table 4)");
  v.boolean("sample_noise", sample_noise, "draw from the predictor's Gaussian (as published) instead of taking its mean (the paper's g_w)");
  v.texts("predictor_inputs", predictor_inputs, "what the predictor sees, of x_t, x0 and lq; the others are zeros to it");
}

int64_t first_step(const SamplerOptions& options, int64_t chain_steps) {
  if (std::find(kNoiseSources.begin(), kNoiseSources.end(), options.noise) == kNoiseSources.end()) {
    throw UsageError(fmt::format("sampling.noise is '{}'; it must be predictor, random, optimal or approximate{}", options.noise,
                                 did_you_mean(options.noise, kNoiseSources)));
  }
  if (std::find(kMethods.begin(), kMethods.end(), options.method) == kMethods.end()) {
    throw UsageError(fmt::format("sampling.method is '{}'; it must be chain, one_step or deterministic{}", options.method,
                                 did_you_mean(options.method, kMethods)));
  }
  if (options.method == "one_step" && (options.steps > 1 || options.start_step > 0)) {
    throw UsageError("sampling.method = one_step starts at T and takes one step: sampling.steps and sampling.start_step do not apply");
  }
  if (options.method == "one_step") return chain_steps;
  const auto within = [chain_steps](const char* key, int64_t value, int64_t least) {
    if (value < least || value > chain_steps) {
      throw UsageError(
          fmt::format("sampling.{} is {}; this schedule has steps {} to {}", key, value, std::max<int64_t>(least, 1), chain_steps));
    }
  };
  within("steps", options.steps, 0);
  within("start_step", options.start_step, 0);
  for (const int64_t step : options.predictor_off) {
    if (step == 1) throw UsageError("sampling.predictor_off names step 1, which adds no noise (Algorithm 2); it may name 2 and above");
    within("predictor_off", step, 2);
  }
  if (options.steps > 0 && options.start_step > 0 && options.steps != options.start_step) {
    throw UsageError(
        fmt::format("a chain that starts at t = {} takes {} steps, not sampling.steps = {}; give one of the two "
                    "(schedule.respaced_steps takes fewer steps through a whole chain)",
                    options.start_step, options.start_step, options.steps));
  }
  const int64_t asked = std::max(options.steps, options.start_step);
  return asked > 0 ? asked : chain_steps;
}

NetworkPasses network_passes(const SamplerOptions& options, int64_t chain_steps) {
  const int64_t first = first_step(options, chain_steps);
  NetworkPasses passes{.denoiser = options.method == "one_step" ? 1 : first};
  if (options.noise != "predictor" || options.method != "chain") return passes;
  for (int64_t step = first; step > 1; --step) passes.predictor += switched_off(options, step) ? 0 : 1;
  return passes;
}

Sampler::Sampler(ResidualShift process, SwinUNet denoiser, NoisePredictor predictor, SamplerOptions options)
    : process_(std::move(process)),
      denoiser_(std::move(denoiser)),
      predictor_(std::move(predictor)),
      options_(std::move(options)),
      first_step_(first_step(options_, process_.steps())) {
  for (const auto& name : options_.predictor_inputs) {
    if (std::find(kPredictorInputs.begin(), kPredictorInputs.end(), name) != kPredictorInputs.end()) continue;
    throw UsageError(fmt::format("sampling.predictor_inputs names '{}'; the predictor sees x_t, x0 and lq{}", name,
                                 did_you_mean(name, kPredictorInputs)));
  }
  if (predictor_.is_empty() && needs_predictor(options_, process_.steps())) {
    throw UsageError("sampling.noise is 'predictor', but no noise predictor was given");
  }
}

// What multiplies sqrt(Sigma) on the way from t to t-1, t = index + 1.
at::Tensor Sampler::noise_at(int64_t index, const at::Tensor& eps, const ChainState& state, const at::Tensor& mean,
                             const SamplerInputs& inputs, const at::Tensor& t) const {
  if (options_.noise == "optimal") return process_.optimal_noise(inputs.reference, inputs.y0, mean, index);
  if (options_.noise == "approximate") return process_.optimal_noise(inputs.y0, inputs.y0, mean, index);
  if (options_.noise == "random" || switched_off(options_, index + 1)) return eps;
  return over_patches(inputs, [&](const std::vector<Patch>& patches) {
    const auto seen = [&](const std::string& name, const at::Tensor& map) {
      const auto& names = options_.predictor_inputs;
      const auto part = gather(map, patches);
      return std::find(names.begin(), names.end(), name) == names.end() ? at::zeros_like(part) : part;
    };
    const auto noise = predictor_.ptr()->forward(seen("x_t", state.x_t), seen("x0", state.pred_x0), seen("lq", inputs.lq), t);
    return (options_.sample_noise ? noise.sample(gather(eps, patches)) : noise.mean).to(state.x_t.scalar_type());
  });
}

std::vector<int64_t> Sampler::draws() const {
  const auto& network = denoiser_.ptr()->options();
  std::vector<int64_t> channels;
  if (network.noise_channels > 0) channels.push_back(network.noise_channels);
  int64_t maps = first_step_ + 1;
  if (options_.method == "one_step") maps = 2;
  if (options_.method == "deterministic") maps = 1;
  channels.insert(channels.end(), static_cast<size_t>(maps), network.in_channels);
  return channels;
}

at::Tensor Sampler::sample(const SamplerInputs& inputs, const DrawNormal& draw,
                           const std::function<void(const ChainState&)>& observe) const {
  if (options_.noise == "optimal" && !inputs.reference.defined()) {
    throw UsageError("the optimal noise (Eq. 9) is computed from the true image: a reference is needed");
  }
  const auto& y0 = inputs.y0;
  const auto next_draw = [&](int64_t channels) {
    return draw({y0.size(0), channels, y0.size(2), y0.size(3)}).to(y0.device(), y0.scalar_type());
  };
  // The student's random input (RSD).
  const int64_t noise_channels = denoiser_.ptr()->options().noise_channels;
  const at::Tensor noise_input = noise_channels > 0 ? next_draw(noise_channels) : at::Tensor();
  const bool one_step = options_.method == "one_step", deterministic = options_.method == "deterministic";

  // Algorithm 2, lines 1-2 (for fewer than T steps Eq. 3): x_t = y0 + kappa sqrt(eta_t) z_t.
  ChainState state;
  state.x_t = process_.prior_sample(y0, next_draw(y0.size(1)), first_step_ - 1);
  for (int64_t index = first_step_ - 1; index >= 0; --index) {
    const auto t = torch::full({1}, process_.schedule().timestep[static_cast<size_t>(index)], torch::kInt64);
    state.index = index;
    state.x_t_scaled = process_.scale_input(state.x_t, index);
    state.pred_x0 = over_patches(inputs, [&](const std::vector<Patch>& patches) {  // lines 5 and 9
      return denoiser_.ptr()
          ->forward(gather(state.x_t_scaled, patches), t, gather(inputs.lq, patches), gather(noise_input, patches))
          .to(y0.scalar_type());
    });
    if (!deterministic) state.noise = next_draw(y0.size(1));  // made at t = 1 and by one step too: it keeps the generator in step
    at::Tensor next = state.pred_x0;
    if (deterministic) {
      next = process_.deterministic_step(state.x_t, state.pred_x0, y0, index);
    } else if (index > 0 && !one_step) {
      const auto mean = process_.posterior_mean(state.x_t, state.pred_x0, index);  // line 6, Eq. 5
      state.noise = noise_at(index, state.noise, state, mean, inputs, t);
      next = mean + process_.posterior_deviation(index) * state.noise;  // line 7, Eq. 11
    }
    if (observe) observe(state);
    state.x_t = next;
    if (one_step) break;
  }
  return state.x_t;
}

}  // namespace lpnsr
