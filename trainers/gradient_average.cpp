#include "trainers/gradient_average.h"

#include <algorithm>

#include <torch/csrc/distributed/c10d/reducer.hpp>
#include <torch/csrc/utils/tensor_flatten.h>

#include "trainers/process_group.h"

namespace lpnsr {
namespace {

// PyTorch's own sizes: a small first bucket, so that communication begins early.
constexpr int64_t kFirstBucket = 1 << 20, kBucket = 25 << 20;

}  // namespace

struct GradientAverage::Reducing {
  Ranks ranks;
  std::unique_ptr<c10d::Reducer> reducer;        // overlapped
  std::vector<std::vector<at::Tensor>> buckets;  // afterwards: the parameters
};

GradientAverage::GradientAverage(std::vector<at::Tensor> parameters, const Ranks& ranks, Gradients gradients, Exchange exchange) {
  if (ranks.count() == 1) return;
  const std::vector<bool> dense(parameters.size(), false);
  auto [buckets, limits] = c10d::compute_bucket_assignment_by_size(parameters, {kFirstBucket, kBucket}, dense);
  // Gradients come in about the opposite order of the layers.
  std::reverse(buckets.begin(), buckets.end());
  reducing_ = std::make_unique<Reducing>();
  reducing_->ranks = ranks;
  if (exchange == Exchange::afterwards) {
    for (const auto& places : buckets) {
      auto& bucket = reducing_->buckets.emplace_back();
      for (const size_t i : places) bucket.push_back(parameters[i]);
    }
    return;
  }
  reducing_->reducer = std::make_unique<c10d::Reducer>(
      std::move(parameters), buckets, ranks.group()->processes, dense, kBucket, gradients == Gradients::some,
      /*gradient_as_bucket_view=*/false, std::unordered_map<size_t, std::string>{}, kFirstBucket, /*skip_all_reduce_unused_params=*/false,
      /*use_python_reducer=*/false, std::vector<int64_t>{});
}

GradientAverage::~GradientAverage() = default;

void GradientAverage::backward(const at::Tensor& loss, bool last) {
  if (!reducing_ || !reducing_->reducer) {
    loss.backward();
    return;
  }
  communicate(reducing_->ranks, [&] {
    // Without this call the hooks of the Reducer stay quiet and gradients add up on this rank.
    if (last) reducing_->reducer->prepare_for_backward({loss});
    loss.backward();
  });
}

void GradientAverage::complete() {
  if (!reducing_) return;
  for (const auto& bucket : reducing_->buckets) {
    std::vector<at::Tensor> gradients;
    for (const auto& parameter : bucket) gradients.push_back(parameter.grad());
    const at::Tensor mean = torch::utils::flatten_dense_tensors(gradients).div_(static_cast<double>(reducing_->ranks.count()));
    reducing_->ranks.sum(mean);
    at::_foreach_copy_(gradients, torch::utils::unflatten_dense_tensors(mean, gradients));
  }
}

}  // namespace lpnsr
