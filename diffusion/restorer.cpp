#include "diffusion/restorer.h"

#include <future>
#include <numeric>

#include <c10/core/impl/LocalDispatchKeySet.h>
#include <fmt/format.h>
#include <torch/library.h>

#include "core/error.h"
#include "core/memory.h"
#include "core/random.h"
#include "core/resize.h"
#include "diffusion/color_rows.h"
#include "diffusion/image_ops.h"
#include "diffusion/patches.h"

namespace lpnsr {
namespace {

// A network whose weights come from a file needs no random ones first, which LibTorch's layers draw as they are made: a third of the time
// that starting takes. This key, which LibTorch keeps for such modes, turns these draws off on a thread where it is included.
constexpr auto kWithoutDraws = c10::DispatchKey::TESTING_ONLY_GenericMode;
at::Tensor& leave_as_it_is(at::Tensor& tensor, double, double, std::optional<at::Generator>) { return tensor; }

TORCH_LIBRARY_IMPL(_, TESTING_ONLY_GenericMode, library) { library.fallback(torch::CppFunction::makeFallthrough()); }
TORCH_LIBRARY_IMPL(aten, TESTING_ONLY_GenericMode, library) {
  library.impl("uniform_", leave_as_it_is);
  library.impl("normal_", leave_as_it_is);
}

void check(const RestoreOptions& options, const SwinUNetOptions& network, const std::string& which) {
  const int64_t multiple = side_multiple(network);
  const auto refuse = [&](const char* key, int64_t value) {
    throw UsageError(fmt::format("restore.{} is {}; the windows and levels of the {} need a multiple of {}", key, value, which, multiple));
  };
  if (options.pad_multiple < 1 || options.pad_multiple % multiple != 0) refuse("pad_multiple", options.pad_multiple);
  if (options.tile == 0) return;
  if (options.tile < 0 || options.tile % multiple != 0) refuse("tile", options.tile);
  if (options.tile_stride < 1 || options.tile_stride > options.tile) {
    throw UsageError(
        fmt::format("restore.tile_stride is {}; it must lie between 1 and restore.tile = {}", options.tile_stride, options.tile));
  }
}

at::Tensor fix_colors(const std::string& how, const at::Tensor& restored, const at::Tensor& upsampled) {
  if (how == "wavelet") return wavelet_color_fix(restored, upsampled);
  if (how == "adain") return adain_color_fix(restored, upsampled);
  if (how == "none") return restored;
  throw UsageError(fmt::format("restore.color_fix is '{}'; it must be wavelet, adain or none", how));
}

// SinSR's padding, at the bottom and right.
at::Tensor pad_without_edge(const at::Tensor& image, int64_t multiple) {
  return pad_mirrored(image, round_up(image.size(-2), multiple), round_up(image.size(-1), multiple), Mirror::skip_edge);
}

DrawNormal draws_of(at::Generator& generator) {
  return [&generator](at::IntArrayRef shape) { return torch::randn(shape, generator, at::TensorOptions(torch::kFloat32)); };
}

// For `patches` patches at once the draws that the published script makes for one after the other: all of the first, then all of the
// second. `channels`: of each draw.
DrawNormal draws_in_turn(const DrawNormal& draw, int64_t patches, const std::vector<int64_t>& channels) {
  if (patches == 1) return draw;
  std::vector<std::vector<at::Tensor>> made(channels.size());
  size_t next = 0;
  return [=](at::IntArrayRef shape) mutable {
    if (next == 0) {
      auto one = shape.vec();
      one[0] /= patches;
      for (int64_t patch = 0; patch < patches; ++patch) {
        for (size_t i = 0; i < made.size(); ++i) {
          one[1] = channels[i];
          made[i].push_back(draw(one));
        }
      }
    }
    return torch::cat(std::exchange(made.at(next++), {}), 0);
  };
}

void check_picture(const at::Tensor& picture, const char* which) {
  if (picture.dim() == 3 && picture.size(0) == 3 && picture.size(1) > 0 && picture.size(2) > 0) return;
  throw UsageError(fmt::format("the {} must be a picture [3,H,W] of at least one pixel", which));
}

}  // namespace

void RestoreOptions::fields(FieldVisitor& v) {
  v.choice("procedure", procedure, {"lpnsr", "sinsr"}, "whose padding, blending of patches and rounding");
  v.integer("tile", tile, Range{0, 1 << 20}, "side of the LR above which it is cut into patches of this size; 0: never");
  v.integer("tile_stride", tile_stride, Range{1, 1 << 20}, "distance between patches");
  v.choice("color_fix", color_fix, {"wavelet", "adain", "none"}, "gives the result the colours of the LR picture");
  v.integer("pad_multiple", pad_multiple, Range{1, 1 << 16}, "the LR picture is padded to multiples of this");
  v.boolean("pad_power_of_two", pad_power_of_two, "and then to powers of two, as published");
  v.integer("tile_batch", tile_batch, Range{1, 1 << 16}, "patches that go through the networks at a time");
  v.real("memory", memory, non_negative, "GiB for patches as large as fit and a result written row by row; 0: as published");
  v.boolean("cuda_graphs", cuda_graphs, "on a GPU: record passes through the networks and replay them where memory is not bounded");
  v.boolean("pre_upsample_only", pre_upsample_only, "write what the chain would start from: a regression method alone");
}

Restorer::Restorer(SystemOptions system, RestoreOptions options, SwinUNet denoiser, NoisePredictor predictor, Autoencoder autoencoder,
                   PreUpsampler pre_upsampler)
    : options_(std::move(options)),
      scale_(autoencoder->options().scale()),
      device_(autoencoder->parameters().front().device()),
      denoiser_(std::move(denoiser)),
      predictor_(std::move(predictor)),
      autoencoder_(std::move(autoencoder)),
      pre_upsampler_(std::move(pre_upsampler)),
      sampler_(ResidualShift(make_schedule(system.schedule)), denoiser_, predictor_, std::move(system.sampling)),
      resident_(resident_memory()) {
  check(options_, denoiser_->options(), "denoiser");
  if (!predictor_.is_empty()) check(options_, predictor_->options(), "noise predictor");
}

Restorer Restorer::load(const SystemOptions& system, const RestoreOptions& options, const std::filesystem::path& weights,
                        c10::ScalarType precision) {
  const bool predicts = needs_predictor(system.sampling, make_schedule(system.schedule).steps());
  // Impossible options are told before seconds are spent on reading weights.
  check(options, system.denoiser, "denoiser");
  if (predicts) check(options, system.noise_predictor, "noise predictor");
  const auto in_precision = [precision](auto network) {
    freeze(*network, precision);
    return network;
  };
  // Side by side: checking and arranging the weights of one network keeps a core busy.
  const auto begin = [](const auto& load) {
    return std::async(std::launch::async, [load] {
      const c10::impl::IncludeDispatchKeyGuard without_draws(kWithoutDraws);
      return load();
    });
  };
  auto loading_denoiser = begin([&] { return in_precision(load_denoiser(system, weights)); });
  auto loading_predictor = begin([&] { return predicts ? in_precision(load_noise_predictor(system, weights)) : NoisePredictor(nullptr); });
  auto loading_autoencoder = begin([&] { return in_precision(load_autoencoder(system, weights)); });
  auto loading_pre_upsampler = begin([&] { return load_pre_upsampler(system, weights, precision); });
  // Of several that are missing the first of these is told.
  auto denoiser = loading_denoiser.get();
  auto predictor = loading_predictor.get();
  auto autoencoder = loading_autoencoder.get();
  return Restorer(system, options, denoiser, predictor, autoencoder, loading_pre_upsampler.get());
}

void Restorer::to(c10::Device device) {
  denoiser_->to(device);
  if (!predictor_.is_empty()) predictor_->to(device);
  autoencoder_->to(device);
  device_ = device;
  resident_ = resident_memory();
}

double Restorer::held() const {
  if (device_.is_cpu()) return static_cast<double>(resident_);
  double bytes = 0;
  const auto add = [&bytes](const torch::nn::Module& network) {
    for (const auto& parameter : network.parameters()) bytes += static_cast<double>(parameter.nbytes());
  };
  add(*denoiser_);
  if (!predictor_.is_empty()) add(*predictor_);
  add(*autoencoder_);
  return bytes;
}

int64_t Restorer::published_side(int64_t length) const {
  const int64_t multiple = round_up(length, options_.pad_multiple);
  return options_.pad_power_of_two && options_.procedure == "lpnsr" ? next_power_of_two(multiple) : multiple;
}

double Restorer::published_memory(int64_t height, int64_t width) const {
  return (held() + memory().published(published_side(height), published_side(width), options_.tile, options_.tile_batch)) / kGibibyte;
}

double Restorer::least_memory(int64_t height, int64_t width) const {
  const auto padded = [this](int64_t length) { return round_up(length, options_.pad_multiple); };
  return (held() + memory().bounded(padded(height), padded(width), patch_step(), options_.tile_batch)) / kGibibyte;
}

double Restorer::memory_at_hand() const {
  return lpnsr::memory_at_hand(device_, device_.is_cpu() ? static_cast<double>(resident_memory()) : held());
}

int64_t Restorer::patch_step() const {
  const int64_t step = side_multiple(denoiser_->options());
  return predictor_.is_empty() ? step : std::lcm(step, side_multiple(predictor_->options()));
}

int64_t Restorer::patch_side(int64_t height, int64_t width) const {
  const int64_t step = patch_step(), whole = round_up(std::max(height, width), step);
  const auto needed = [&](int64_t side) { return (held() + memory().bounded(height, width, side, options_.tile_batch)) / kGibibyte; };
  const int64_t side = largest_side(options_.tile > 0 ? std::min(options_.tile, whole) : whole, step, options_.memory, needed);
  if (needed(side) > options_.memory) {
    throw Error(fmt::format(
        "{:.2f} GiB of memory are too few for a picture of {} x {} pixels: the networks and the program hold {:.2f} GiB, and the "
        "smallest patches bring that to {:.2f} GiB",
        options_.memory, width, height, held() / kGibibyte, needed(side)));
  }
  return side;
}

at::Tensor Restorer::prepared(const at::Tensor& picture, int64_t multiple, bool power_of_two) const {
  const auto image = picture.to(device_, torch::kFloat32).unsqueeze(0);
  return options_.procedure == "sinsr" ? pad_without_edge(image, multiple) : pad_for_restoring(image, multiple, power_of_two);
}

void Restorer::check_reference(const at::Tensor& lr, const at::Tensor& reference) const {
  check_picture(reference, "reference");
  const int64_t height = lr.size(1) * scale_, width = lr.size(2) * scale_;
  if (reference.size(1) != height || reference.size(2) != width) {
    throw DataError(fmt::format("the reference is {}x{} pixels; {} times the LR image's would be {}x{}", reference.size(1),
                                reference.size(2), scale_, height, width));
  }
}

at::Tensor Restorer::encode(const at::Tensor& image) const { return autoencoder_.ptr()->encode(image * 2 - 1).to(image.scalar_type()); }

at::Tensor Restorer::decode(const at::Tensor& latent) const {
  const torch::NoGradGuard no_grad;
  const auto decoded = [this](const at::Tensor& map) {
    return (autoencoder_.ptr()->decode(map).to(map.scalar_type()).clamp_(-1, 1) + 1) / 2;
  };
  const int64_t height = latent.size(2), width = latent.size(3);
  if (options_.memory == 0.0) return decoded(latent);
  const int64_t side = patch_side(height, width);
  if (std::max(height, width) <= side) return decoded(latent);
  return blend_patches(
      seamless_grid(height, width, side, scale_), [&](const std::vector<Patch>& patches) { return decoded(patches.front().of(latent)); },
      latent.scalar_type());
}

at::Tensor Restorer::restore_patches(const at::Tensor& lr, const at::Tensor& reference, const DrawNormal& draw,
                                     const Observe& observe) const {
  SamplerInputs inputs;
  inputs.lq = lr * 2 - 1;
  inputs.y0 = encode(pre_upsampler_(lr));
  if (reference.defined()) inputs.reference = encode(reference);
  const auto x0 = sampler_.sample(inputs, draw, observe);
  const auto image = autoencoder_.ptr()->decode(x0).to(lr.scalar_type());
  return (image.clamp(-1, 1) + 1) / 2;
}

at::Tensor Restorer::restore_sinsr(const at::Tensor& lr, const std::optional<at::Tensor>& reference, const Observe& observe) const {
  const int64_t height = lr.size(1), width = lr.size(2);
  const at::Tensor whole = lr.to(device_, torch::kFloat32).unsqueeze(0);
  const at::Tensor truth = reference ? reference->to(device_, torch::kFloat32).unsqueeze(0) : at::Tensor();
  auto generator = make_generator(options_.seed);
  const DrawNormal draw = draws_of(generator);
  const auto padded = [](const at::Tensor& part, int64_t multiple) { return part.defined() ? pad_without_edge(part, multiple) : part; };
  const auto work = [&](const std::vector<Patch>& patches) {
    const at::Tensor part = gather(whole, patches), true_part = gather(truth, patches, scale_);
    const auto restored = restore_patches(padded(part, options_.pad_multiple), padded(true_part, options_.pad_multiple * scale_),
                                          draws_in_turn(draw, static_cast<int64_t>(patches.size()), sampler_.draws()), observe);
    return restored.slice(2, 0, part.size(2) * scale_).slice(3, 0, part.size(3) * scale_);
  };
  const bool tiled = options_.tile > 0 && std::max(height, width) > options_.tile;
  PatchGrid grid{.height = height,
                 .width = width,
                 .side = tiled ? options_.tile : std::max(height, width),
                 .stride = options_.tile_stride,
                 .scale = scale_,
                 .batch = options_.tile_batch};
  grid.window = [](int64_t size) { return std::vector<double>(static_cast<size_t>(size), 1.0); };
  const auto restored = tiled ? blend_patches(grid, work) : work({{0, 0, height, width}});
  return fix_colors(options_.color_fix, restored, resize_bicubic_scale(whole, scale_)).clamp(0, 1)[0].contiguous();
}

at::Tensor Restorer::restore_published(const at::Tensor& lr, const std::optional<at::Tensor>& reference, const Observe& observe) const {
  const auto padded = prepared(lr, options_.pad_multiple, options_.pad_power_of_two);
  const auto truth = reference ? prepared(*reference, options_.pad_multiple * scale_, options_.pad_power_of_two) : at::Tensor();
  auto generator = make_generator(options_.seed);
  const DrawNormal draw = draws_of(generator);
  const auto work = [&](const std::vector<Patch>& patches) {
    return restore_patches(gather(padded, patches), gather(truth, patches, scale_),
                           draws_in_turn(draw, static_cast<int64_t>(patches.size()), sampler_.draws()), observe);
  };
  const int64_t height = padded.size(2), width = padded.size(3);
  const bool tiled = options_.tile > 0 && std::max(height, width) > options_.tile;
  const PatchGrid grid{.height = height,
                       .width = width,
                       .side = options_.tile,
                       .stride = options_.tile_stride,
                       .scale = scale_,
                       .batch = options_.tile_batch};
  const auto restored = tiled ? blend_patches(grid, work) : work({{0, 0, height, width}});
  const auto fixed = fix_colors(options_.color_fix, restored, resize_bicubic_scale(padded, scale_));
  return fixed.clamp(0, 1)[0].slice(1, 0, lr.size(1) * scale_).slice(2, 0, lr.size(2) * scale_).contiguous();
}

void Restorer::restore_bounded(const at::Tensor& lr, int64_t side, const std::optional<at::Tensor>& reference, const Observe& observe,
                               const TakeRows& take) const {
  const auto padded = prepared(lr, options_.pad_multiple, /*power_of_two=*/false);
  const int64_t height = padded.size(2), width = padded.size(3);
  const auto grid = [&](int64_t scale) {
    auto cut = seamless_grid(height, width, side, scale);
    cut.batch = options_.tile_batch;
    return cut;
  };
  const auto latent_of = [&](const std::function<at::Tensor(const std::vector<Patch>&)>& image) {
    return blend_patches(
        grid(1), [&](const std::vector<Patch>& patches) { return encode(image(patches)); }, torch::kFloat32);
  };
  SamplerInputs inputs;
  inputs.patch = side;
  inputs.patch_batch = options_.tile_batch;
  inputs.lq = padded * 2 - 1;
  inputs.y0 = latent_of([&](const std::vector<Patch>& patches) { return pre_upsampler_(gather(padded, patches)); });
  if (reference) {
    const auto truth = prepared(*reference, options_.pad_multiple * scale_, /*power_of_two=*/false);
    inputs.reference = latent_of([&](const std::vector<Patch>& patches) { return gather(truth, patches, scale_); });
  }
  auto generator = make_generator(options_.seed);
  const auto x0 = sampler_.sample(inputs, draws_of(generator), observe);
  inputs = {};

  const auto decoded = [&](const std::vector<Patch>& patches) {
    const auto image = autoencoder_.ptr()->decode(gather(x0, patches)).to(torch::kFloat32);
    return (image.clamp(-1, 1) + 1) / 2;
  };
  const auto each_row = [&](const TakeRows& use) {
    blend_rows(grid(scale_), decoded, [&](const at::Tensor& rows) { use(rows.to(torch::kFloat32)); });
  };
  RowFix fix;
  if (options_.color_fix == "wavelet") fix = wavelet_row_fix(padded, scale_);
  if (options_.color_fix == "adain") {
    // The moments of the whole come first: everything is decoded twice.
    MomentSums restored;
    each_row([&restored](const at::Tensor& rows) { restored.add(rows); });
    fix = adain_row_fix(restored.moments(), padded, scale_);
  }
  int64_t left = lr.size(1) * scale_;
  ColorRows colours(fix, height * scale_, [&](const at::Tensor& rows) {
    const int64_t count = std::min(left, rows.size(2));  // what follows is padding
    if (count > 0) take(rows[0].slice(1, 0, count).slice(2, 0, lr.size(2) * scale_));
    left -= count;
  });
  each_row([&colours](const at::Tensor& rows) { colours.add(rows); });
}

void Restorer::restore_rows(const at::Tensor& lr, const std::optional<at::Tensor>& reference, const Observe& observe,
                            const TakeRows& take) const {
  const torch::NoGradGuard no_grad;
  const GraphScope graphs(options_.cuda_graphs && options_.memory == 0.0);  // they keep the memory of their passes
  check_picture(lr, "LR image");
  std::optional<at::Tensor> truth;
  if (reference && sampler_.options().noise == "optimal") {
    check_reference(lr, *reference);
    truth = reference;
  }
  if (options_.memory > 0.0) {
    const int64_t height = lr.size(1), width = lr.size(2);
    const bool one_patch = options_.tile == 0 || published_side(std::max(height, width)) <= options_.tile;
    if (!one_patch || published_memory(height, width) > options_.memory) {
      const int64_t side = patch_side(round_up(height, options_.pad_multiple), round_up(width, options_.pad_multiple));
      return restore_bounded(lr, side, truth, observe, take);
    }
  }
  take(options_.procedure == "sinsr" ? restore_sinsr(lr, truth, observe) : restore_published(lr, truth, observe));
}

at::Tensor Restorer::restore(const at::Tensor& lr, const std::optional<at::Tensor>& reference, const Observe& observe) const {
  std::vector<at::Tensor> bands;
  restore_rows(lr, reference, observe, [&bands](const at::Tensor& rows) { bands.push_back(rows); });
  return bands.size() == 1 ? bands.front() : torch::cat(bands, 1);
}

}  // namespace lpnsr
