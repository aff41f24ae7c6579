#include "core/graphed_passes.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>

#include "core/log.h"
#ifdef LPNSR_CUDA
#include <ATen/cuda/CUDAEvent.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#endif

namespace lpnsr {
namespace {

thread_local bool recording_allowed = false;

#ifdef LPNSR_CUDA
// One pool for all graphs: none of them runs beside another.
std::function<void()> record_cuda_graph(const std::function<void()>& work) {
  static const auto pool = at::cuda::graph_pool_handle();
  const auto caller = c10::cuda::getCurrentCUDAStream();
  const auto stream = c10::cuda::getStreamFromPool();  // the default stream cannot be recorded
  const auto wait = [](const c10::cuda::CUDAStream& earlier, const c10::cuda::CUDAStream& later) {
    at::cuda::CUDAEvent event;
    event.record(earlier);
    event.block(later);
  };
  wait(caller, stream);
  const auto graph = std::make_shared<at::cuda::CUDAGraph>();
  {
    const c10::cuda::CUDAStreamGuard on_stream(stream);
    work();  // libraries choose their algorithms and workspaces on the first run
    stream.synchronize();
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
  }
  wait(stream, caller);
  return [graph] { graph->replay(); };
}
#endif

bool alike(const at::Tensor& a, const at::Tensor& b) {
  if (!a.defined() || !b.defined()) return a.defined() == b.defined();
  return a.sizes() == b.sizes() && a.scalar_type() == b.scalar_type() && a.device() == b.device();
}

void copy(const std::vector<at::Tensor>& from, const std::vector<at::Tensor>& to) {
  for (size_t i = 0; i < from.size(); ++i) {
    if (from[i].defined()) to[i].copy_(from[i]);
  }
}

// The same kernels on the same numbers: no more than another order of sums may be between them.
bool same_result(const at::Tensor& replayed, const at::Tensor& expected) {
  constexpr double kTolerance = 1e-2;
  const auto difference = (replayed.to(at::kFloat) - expected.to(at::kFloat)).norm();
  return (difference <= kTolerance * expected.to(at::kFloat).norm()).item<bool>();
}

}  // namespace

GraphScope::GraphScope(bool on) : before_(std::exchange(recording_allowed, on)) {}

GraphScope::~GraphScope() { recording_allowed = before_; }

GraphedPasses::GraphedPasses() : device_(c10::kCUDA) {
#ifdef LPNSR_CUDA
  recorder_ = record_cuda_graph;
#endif
}

bool GraphedPasses::fits(const torch::nn::Module& network, const at::Tensor& input) {
  if (!recorder_ || !recording_allowed || at::GradMode::is_enabled() || input.device().type() != device_ ||
      at::autocast::is_autocast_enabled(device_)) {
    return false;
  }
  if (weights_.empty()) weights_ = network.parameters();
  return std::none_of(weights_.begin(), weights_.end(), [](const at::Tensor& w) { return w.requires_grad() || w.is_inference(); });
}

GraphedPasses::Graph* GraphedPasses::known(const std::vector<at::Tensor>& inputs, const at::Tensor& constant) {
  const auto found = std::find_if(graphs_.begin(), graphs_.end(), [&](const Graph& graph) {
    return graph.constant.is_same(constant) && std::equal(inputs.begin(), inputs.end(), graph.inputs.begin(), graph.inputs.end(), alike);
  });
  return found == graphs_.end() ? nullptr : &*found;
}

at::Tensor GraphedPasses::record(Graph& graph, const std::vector<at::Tensor>& inputs, const Pass& pass) const {
  const auto expected = pass(inputs);
  try {
    copy(inputs, graph.inputs);
    graph.replay = recorder_([&graph, pass] { graph.result = pass(graph.inputs); });
    graph.replay();
    if (same_result(graph.result, expected)) return expected;
    log_warning("a CUDA graph repeated a pass with another result: passes of its size go on without");
  } catch (const c10::Error& error) {
    log_warning("no CUDA graph could be recorded, passes of this size go on without: {}", error.what_without_backtrace());
  }
  graph.refused = true;
  graph.replay = {};
  graph.result = at::Tensor();
  return expected;
}

at::Tensor GraphedPasses::run(const torch::nn::Module& network, const std::vector<at::Tensor>& inputs, const at::Tensor& constant,
                              const Pass& pass) {
  if (!fits(network, inputs.front())) return pass(inputs);
  constexpr size_t kMost = 64;
  if (seen_.changed(weights_) || graphs_.size() == kMost) graphs_.clear();
  auto* graph = known(inputs, constant);
  if (graph == nullptr) {  // most sizes of a folder come once
    graphs_.push_back({.constant = constant, .inputs = {}, .result = {}, .replay = {}});
    for (const auto& input : inputs) graphs_.back().inputs.push_back(input.defined() ? at::empty_like(input) : input);
    return pass(inputs);
  }
  if (graph->refused) return pass(inputs);
  if (!graph->replay) return record(*graph, inputs, pass);
  copy(inputs, graph->inputs);
  graph->replay();
  return graph->result.clone();
}

}  // namespace lpnsr
