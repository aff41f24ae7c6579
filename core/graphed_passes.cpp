#include "core/graphed_passes.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>

#include "core/log.h"

namespace lpnsr {
namespace {

thread_local bool recording_allowed = false;

}  // namespace

GraphScope::GraphScope(bool on) : before_(std::exchange(recording_allowed, on)) {}

GraphScope::~GraphScope() { recording_allowed = before_; }

bool GraphedPasses::fits(const torch::nn::Module& network, const at::Tensor& input) {
  if (!recorder_ || !recording_allowed || at::GradMode::is_enabled() || input.device().type() != device_ ||
      at::autocast::is_autocast_enabled(device_)) {
    return false;
  }
  if (weights_.empty()) weights_ = network.parameters();
  return std::none_of(weights_.begin(), weights_.end(), [](const at::Tensor& w) { return w.requires_grad() || w.is_inference(); });
}

GraphedPasses::Graph* GraphedPasses::known(const std::vector<at::Tensor>& inputs, const at::Tensor& constant) {
  const auto found = std::find_if(graphs_.begin(), graphs_.end(),
                                  [&](const Graph& graph) { return graph.constant.is_same(constant) && graph.inputs.fit(inputs); });
  return found == graphs_.end() ? nullptr : &*found;
}

at::Tensor GraphedPasses::record(Graph& graph, const std::vector<at::Tensor>& inputs, const Pass& pass) const {
  const auto expected = pass(inputs);
  try {
    graph.inputs.set(inputs);
    RecordingScope recording(RecordingScope::Weights::stay);
    graph.replay = recorder_(inputs.front().device(), [&] { graph.result = pass(graph.inputs.tensors()); });
    graph.kept = recording.held();
    graph.replay();
    if (distance({graph.result}, {expected}) <= kGraphTolerance * expected.to(at::kFloat).norm().item<double>()) return expected;
    log_warning("a CUDA graph repeated a pass with another result: passes of its size go on without");
  } catch (const c10::Error& error) {
    log_warning("no CUDA graph could be recorded, passes of this size go on without: {}", error.what_without_backtrace());
  }
  graph.refused = true;
  graph.replay = {};
  graph.kept.clear();
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
    graphs_.push_back({.constant = constant, .inputs = GraphInputs(inputs)});
    return pass(inputs);
  }
  if (graph->refused) return pass(inputs);
  if (!graph->replay) return record(*graph, inputs, pass);
  graph->inputs.set(inputs);
  graph->replay();
  return graph->result.clone();
}

}  // namespace lpnsr
