#include "trainers/gradient_average.h"

#include <algorithm>

#include <torch/csrc/distributed/c10d/reducer.hpp>

#include "trainers/process_group.h"

namespace lpnsr {
namespace {

// PyTorch's own sizes: a small first bucket, so that communication begins early.
constexpr int64_t kFirstBucket = 1 << 20, kBucket = 25 << 20;

}  // namespace

struct GradientAverage::Reducing {
  Ranks ranks;
  std::unique_ptr<c10d::Reducer> reducer;
};

GradientAverage::GradientAverage(std::vector<at::Tensor> parameters, const Ranks& ranks, Gradients gradients) {
  if (ranks.count() == 1) return;
  const std::vector<bool> dense(parameters.size(), false);
  auto [buckets, limits] = c10d::compute_bucket_assignment_by_size(parameters, {kFirstBucket, kBucket}, dense);
  // Gradients come in about the opposite order of the layers.
  std::reverse(buckets.begin(), buckets.end());
  reducing_ = std::make_unique<Reducing>();
  reducing_->ranks = ranks;
  reducing_->reducer = std::make_unique<c10d::Reducer>(
      std::move(parameters), buckets, ranks.group()->processes, dense, kBucket, gradients == Gradients::some,
      /*gradient_as_bucket_view=*/false, std::unordered_map<size_t, std::string>{}, kFirstBucket, /*skip_all_reduce_unused_params=*/false,
      /*use_python_reducer=*/false, std::vector<int64_t>{});
}

GradientAverage::~GradientAverage() = default;

void GradientAverage::backward(const at::Tensor& loss, bool last) {
  if (!reducing_) {
    loss.backward();
    return;
  }
  communicate(reducing_->ranks, [&] {
    // Without this call the hooks of the Reducer stay quiet and gradients add up on this rank.
    if (last) reducing_->reducer->prepare_for_backward({loss});
    loss.backward();
  });
}

}  // namespace lpnsr
