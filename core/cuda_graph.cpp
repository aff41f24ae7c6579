#include "core/cuda_graph.h"

#include <cmath>

#include <ATen/ATen.h>
#ifdef LPNSR_CUDA
#include <memory>

#include <ATen/cuda/CUDAEvent.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#endif

namespace lpnsr {

namespace {

bool alike(const at::Tensor& a, const at::Tensor& b) {
  if (!a.defined() || !b.defined()) return a.defined() == b.defined();
  return a.sizes() == b.sizes() && a.scalar_type() == b.scalar_type() && a.device() == b.device();
}

double norm_of(const std::vector<at::Tensor>& tensors) {
  std::vector<at::Tensor> norms;
  for (const auto& tensor : tensors) norms.push_back(tensor.norm().to(at::kDouble));
  return norms.empty() ? 0.0 : at::stack(norms).norm().item<double>();
}

}  // namespace

GraphInputs::GraphInputs(const std::vector<at::Tensor>& like) {
  for (const auto& input : like) tensors_.push_back(input.defined() ? at::empty_like(input) : input);
}

bool GraphInputs::fit(const std::vector<at::Tensor>& inputs) const {
  return std::equal(inputs.begin(), inputs.end(), tensors_.begin(), tensors_.end(), alike);
}

void GraphInputs::set(const std::vector<at::Tensor>& inputs) const {
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].defined()) tensors_[i].copy_(inputs[i]);
  }
}

bool same_work(at::TensorList replayed, at::TensorList expected) {
  constexpr double kTolerance = 1e-2;
  const auto exact = [](const at::Tensor& t) { return t.to(t.scalar_type() == at::kDouble ? at::kDouble : at::kFloat); };
  std::vector<at::Tensor> differences, wanted;
  for (size_t i = 0; i < expected.size(); ++i) {
    wanted.push_back(exact(expected[i]));
    differences.push_back(exact(replayed[i]) - wanted.back());
  }
  return norm_of(differences) <= kTolerance * norm_of(wanted);
}

#ifdef LPNSR_CUDA
namespace {

std::shared_ptr<at::cuda::CUDAGraph> captured(const std::function<void()>& work) {
  static const auto pool = at::cuda::graph_pool_handle();  // one for all graphs: none of them runs beside another
  const auto graph = std::make_shared<at::cuda::CUDAGraph>();
  // Loader threads go on to pin memory meanwhile.
  graph->capture_begin(pool, cudaStreamCaptureModeThreadLocal);
  try {
    work();
  } catch (...) {
    try {
      graph->capture_end();
    } catch (const c10::Error&) {
      static_cast<void>(cudaGetLastError());  // the first error is the one that counts
    }
    throw;
  }
  graph->capture_end();
  return graph;
}

std::function<void()> record(const std::function<void()>& work) {
  const auto caller = c10::cuda::getCurrentCUDAStream();
  const auto stream = c10::cuda::getStreamFromPool();  // the default stream cannot be recorded
  const auto wait = [](const c10::cuda::CUDAStream& earlier, const c10::cuda::CUDAStream& later) {
    at::cuda::CUDAEvent event;
    event.record(earlier);
    event.block(later);
  };
  wait(caller, stream);
  const c10::cuda::CUDAStreamGuard on_stream(stream);
  work();  // libraries choose their algorithms and workspaces on a stream's first run; recording itself computes nothing
  stream.synchronize();
  c10::cuda::CUDACachingAllocator::emptyCache();  // the graph's memory is its own: what the first run leaves cannot serve it
  const auto graph = captured(work);
  wait(stream, caller);
  return [graph] { graph->replay(); };
}

}  // namespace

GraphRecorder cuda_graph_recorder() { return record; }
#else
GraphRecorder cuda_graph_recorder() { return {}; }
#endif

}  // namespace lpnsr
