#include "degradation/tensor_chain.h"

#include <functional>
#include <map>
#include <numeric>

#include <fmt/format.h>
#include <torch/torch.h>

#include "core/error.h"
#include "core/random.h"
#include "degradation/tensor_operations.h"

namespace lpnsr {
namespace {

// Samples that go through an operation together.
struct Group {
  std::vector<size_t> samples;
  at::Tensor pictures;
};

class BatchChain {
 public:
  BatchChain(const at::Tensor& hr, std::span<const DegradationParameters> parameters)
      : parameters_(parameters), height_(hr.size(2) / parameters[0].scale), width_(hr.size(3) / parameters[0].scale) {
    std::vector<size_t> all(parameters.size());
    std::iota(all.begin(), all.end(), size_t{0});
    groups_.push_back({std::move(all), hr});
  }

  at::Tensor run() {
    blur([](const auto& p) { return p.first.kernel; });
    each([](const auto& p) { return fmt::format("{} {}", p.first.resize_factor, p.first.resize_mode); },
         [](const at::Tensor& pictures, const auto& p) { return resize_by(pictures, p.first.resize_factor, p.first.resize_mode); });
    noise([](const auto& p) { return p.first; });
    compress([](const auto& p) { return p.first.jpeg_quality; });

    std::vector<Group> once = split([](const auto& p) { return std::string(p.second_order ? "second" : ""); });
    std::vector<Group> done;
    for (Group& group : once) {
      if (!parameters_[group.samples[0]].second_order) {
        done.push_back(std::move(group));
        continue;
      }
      groups_ = {std::move(group)};
      second_order();
      std::move(groups_.begin(), groups_.end(), std::back_inserter(done));
    }
    groups_ = std::move(done);

    // The last two steps in either order; every picture has its final size at the end.
    const auto sinc_first = [](const DegradationParameters& p) { return p.final_sinc_before_jpeg; };
    finish_size(sinc_first);
    compress([](const auto& p) { return p.second.jpeg_quality; });
    finish_size(std::not_fn(sinc_first));
    return (joined() * 255.0).round().clamp(0.0, 255.0) / 255.0;
  }

 private:
  using Key = std::function<std::string(const DegradationParameters&)>;
  using Operation = std::function<at::Tensor(const at::Tensor&, const DegradationParameters&)>;

  // The groups divided so that `key` is one in each.
  std::vector<Group> split(const Key& key) const {
    std::vector<Group> result;
    for (const Group& group : groups_) {
      std::map<std::string, std::vector<int64_t>> members;
      for (size_t i = 0; i < group.samples.size(); ++i) members[key(parameters_[group.samples[i]])].push_back(static_cast<int64_t>(i));
      for (const auto& [text, places] : members) {
        Group part;
        for (const int64_t place : places) part.samples.push_back(group.samples[static_cast<size_t>(place)]);
        part.pictures =
            members.size() == 1 ? group.pictures : group.pictures.index_select(0, at::tensor(places).to(group.pictures.device()));
        result.push_back(std::move(part));
      }
    }
    return result;
  }

  void each(const Key& key, const Operation& operation) {
    groups_ = split(key);
    for (Group& group : groups_) group.pictures = operation(group.pictures, parameters_[group.samples[0]]);
  }

  // A number of each sample of a group, on its device.
  template <class Read>
  at::Tensor numbers(const Group& group, const Read& read) const {
    std::vector<float> values;
    for (const size_t sample : group.samples) values.push_back(static_cast<float>(read(parameters_[sample])));
    return at::tensor(values).to(group.pictures.device(), /*non_blocking=*/true);
  }

  template <class Read>
  void blur(const Read& read) {
    groups_ = split([&](const auto& p) {
      const KernelParameters kernel = read(p);
      return kernel.type == "none" ? std::string() : std::to_string(kernel.padded_size);
    });
    for (Group& group : groups_) {
      if (read(parameters_[group.samples[0]]).type == "none") continue;
      std::vector<at::Tensor> kernels;
      for (const size_t sample : group.samples) {
        const Kernel kernel = make_kernel(read(parameters_[sample]), parameters_[sample].flavour);
        kernels.push_back(at::tensor(kernel.taps, at::kDouble).reshape({kernel.size, kernel.size}).to(at::kFloat));
      }
      const Border border = parameters_[group.samples[0]].flavour == "lpnsr" ? Border::zero : Border::reflect;
      group.pictures = filter(group.pictures, at::stack(kernels).to(group.pictures.device()), border);
    }
  }

  template <class Read>
  void noise(const Read& read) {
    groups_ = split([&](const auto& p) { return read(p).noise; });
    for (Group& group : groups_) {
      const DegradationParameters& first = parameters_[group.samples[0]];
      const NoiseLevels levels{numbers(group, [&](const auto& p) { return read(p).noise_level; }),
                               numbers(group, [&](const auto& p) { return read(p).gray_noise ? 1.0 : 0.0; })};
      uint64_t seed = 0;
      for (const size_t sample : group.samples) seed = stream_seed(seed, "batch noise", {read(parameters_[sample]).noise_seed});
      const at::Generator generator = make_generator(seed, group.pictures.device());
      group.pictures = read(first).noise == "gaussian" ? add_gaussian_noise(group.pictures, levels, generator)
                                                       : add_poisson_noise(group.pictures, levels, first.flavour, generator);
    }
  }

  template <class Read>
  void compress(const Read& read) {
    for (Group& group : groups_) {
      group.pictures = group.pictures.clamp(0.0, 1.0);
      if (parameters_[group.samples[0]].jpeg == "none") continue;
      group.pictures = compress_differentiable(group.pictures, numbers(group, read), JpegRounding::hard);
    }
  }

  void second_order() {
    blur([](const auto& p) { return p.second.kernel; });
    each([](const auto& p) { return fmt::format("{} {}", p.second.resize_factor, p.second.resize_mode); },
         [this](const at::Tensor& pictures, const auto& p) {
           const auto scaled = [&p](int64_t side) {
             return std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(side) * p.second.resize_factor));
           };
           return resize_to(pictures, scaled(height_), scaled(width_), p.second.resize_mode);
         });
    noise([](const auto& p) { return p.second; });
  }

  // The last resize and the final sinc of those samples for which `now` holds.
  void finish_size(const std::function<bool(const DegradationParameters&)>& now) {
    each([&](const auto& p) { return now(p) ? p.final_resize_mode : std::string(); },
         [&](const at::Tensor& pictures, const auto& p) {
           return now(p) ? resize_to(pictures, height_, width_, p.final_resize_mode) : pictures;
         });
    blur([&](const auto& p) { return now(p) ? p.final_sinc : KernelParameters(); });
  }

  at::Tensor joined() const {
    if (groups_.size() == 1) return groups_[0].pictures;
    std::vector<at::Tensor> pictures(parameters_.size());
    for (const Group& group : groups_) {
      for (size_t i = 0; i < group.samples.size(); ++i) pictures[group.samples[i]] = group.pictures[static_cast<int64_t>(i)];
    }
    return at::stack(pictures);
  }

  std::span<const DegradationParameters> parameters_;
  int64_t height_, width_;
  std::vector<Group> groups_;
};

}  // namespace

at::Tensor degrade_batch(const at::Tensor& hr, std::span<const DegradationParameters> parameters) {
  TORCH_CHECK(hr.dim() == 4 && hr.size(0) == static_cast<int64_t>(parameters.size()) && !parameters.empty(),
              "degrade_batch: a picture for each set of parameters was expected");
  for (const auto& p : parameters) {
    if (p.jpeg == "codec")
      throw UsageError("degradation.jpeg: a real encoder works on the CPU only: choose 'differentiable' to degrade on the device");
    TORCH_CHECK(p.scale == parameters[0].scale && p.jpeg == parameters[0].jpeg && p.flavour == parameters[0].flavour,
                "degrade_batch: one flavour, scale and kind of JPEG a batch was expected");
  }
  const torch::NoGradGuard no_grad;
  return BatchChain(hr, parameters).run();
}

}  // namespace lpnsr
