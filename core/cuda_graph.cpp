#include "core/cuda_graph.h"

#include <algorithm>

#include <ATen/ATen.h>
#ifdef LPNSR_CUDA
#include <map>
#include <memory>
#include <mutex>

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

double distance(at::TensorList a, at::TensorList b) {
  const auto exact = [](const at::Tensor& t) { return t.to(t.scalar_type() == at::kDouble ? at::kDouble : at::kFloat); };
  std::vector<at::Tensor> norms;
  for (size_t i = 0; i < a.size(); ++i) norms.push_back((exact(a[i]) - exact(b[i])).norm().to(at::kDouble));
  return norms.empty() ? 0.0 : at::stack(norms).norm().item<double>();
}

#ifdef LPNSR_CUDA
namespace {

auto pool() {
  static const auto id = at::cuda::graph_pool_handle();  // one for all graphs: none of them runs beside another
  return id;
}

// One for all graphs of a device: the allocator hands memory on within a stream alone. The default stream cannot be recorded.
c10::cuda::CUDAStream stream_of(c10::DeviceIndex device) {
  static std::mutex mutex;
  static std::map<c10::DeviceIndex, c10::cuda::CUDAStream> streams;
  const std::lock_guard lock(mutex);
  return streams.try_emplace(device, c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device)).first->second;
}

// Ends what could not be recorded. The first error is the one that counts.
void give_up(at::cuda::CUDAGraph& graph, c10::DeviceIndex device) {
  const auto quietly = [](const auto& step) {
    try {
      step();
    } catch (const c10::Error&) {
      static_cast<void>(cudaGetLastError());
      return false;
    }
    return true;
  };
  if (quietly([&] { graph.capture_end(); })) return;
  // The allocator goes on to serve a recording that has failed, unless it is told.
  quietly([&] {
    c10::cuda::CUDACachingAllocator::endAllocateToPool(device, pool());
    c10::cuda::CUDACachingAllocator::releasePool(device, pool());
  });
}

std::shared_ptr<at::cuda::CUDAGraph> captured(c10::DeviceIndex device, const std::function<void()>& work) {
  const auto graph = std::make_shared<at::cuda::CUDAGraph>();
  // Loader threads go on to pin memory meanwhile.
  graph->capture_begin(pool(), cudaStreamCaptureModeThreadLocal);
  try {
    work();
  } catch (...) {
    give_up(*graph, device);
    throw;
  }
  graph->capture_end();
  return graph;
}

std::function<void()> record(c10::Device device, const std::function<void()>& work) {
  const c10::cuda::CUDAGuard on_device(device);
  const auto caller = c10::cuda::getCurrentCUDAStream(), stream = stream_of(caller.device_index());
  const auto wait = [](const c10::cuda::CUDAStream& earlier, const c10::cuda::CUDAStream& later) {
    at::cuda::CUDAEvent event;
    event.record(earlier);
    event.block(later);
  };
  wait(caller, stream);
  const c10::cuda::CUDAStreamGuard on_stream(stream);
  work();  // libraries choose their algorithms and workspaces on a stream's first run; recording itself computes nothing
  stream.synchronize();
  c10::cuda::CUDACachingAllocator::emptyCache();  // the graphs' memory is their own: what the first run leaves cannot serve them
  const auto graph = captured(caller.device_index(), work);
  return [graph] { graph->replay(); };
}

}  // namespace

GraphRecorder cuda_graph_recorder() { return record; }
#else
GraphRecorder cuda_graph_recorder() { return {}; }
#endif

}  // namespace lpnsr
