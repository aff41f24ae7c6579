#include "trainers/graphed_step.h"

#include <algorithm>
#include <optional>

#include "core/kept.h"
#include "core/log.h"

namespace lpnsr {
namespace {

std::vector<at::Tensor> copies(const std::vector<at::Tensor>& tensors) {
  std::vector<at::Tensor> result;
  for (const auto& tensor : tensors) result.push_back(tensor.clone());
  return result;
}

}  // namespace

Scalars GraphedStep::record(Graph& graph, const std::vector<at::Tensor>& inputs, const Passes& passes) const {
  graph.inputs.set(inputs);
  std::optional<Scalars> computed;
  try {
    RecordingScope recording(RecordingScope::Weights::change);
    graph.replay = recorder_([&] {
      graph.result = passes(graph.inputs.tensors());
      if (!computed) computed = graph.result.copy();
    });
    graph.kept = recording.held();
    graph.stage = Stage::recorded;
  } catch (const c10::Error& error) {
    if (!computed) throw;
    log_warning("no CUDA graph could be recorded of an iteration, training goes on without: {}", error.what_without_backtrace());
    graph = {.kind = graph.kind, .inputs = graph.inputs, .stage = Stage::refused};
  }
  return *computed;
}

Scalars GraphedStep::compare(Graph& graph, const std::vector<at::Tensor>& inputs, const Passes& passes) const {
  const auto changed = changed_();
  const auto before = copies(changed);
  graph.inputs.set(inputs);
  graph.replay();
  const auto replayed = copies(changed);
  const auto reported = graph.result.copy();
  for (size_t i = 0; i < changed.size(); ++i) changed[i].copy_(before[i]);
  const Scalars computed = passes(inputs);
  if (same_work(replayed, changed) && same_work(reported.values(), computed.values())) {
    graph.stage = Stage::trusted;
  } else {
    log_warning("a CUDA graph repeated an iteration with another result, training goes on without");
    graph = {.kind = graph.kind, .inputs = graph.inputs, .stage = Stage::refused};
  }
  return computed;
}

Scalars GraphedStep::run(int64_t kind, int64_t iteration, const std::vector<at::Tensor>& inputs, const Passes& passes) {
  if (!recorder_) return passes(inputs);
  const auto graph = std::find_if(graphs_.begin(), graphs_.end(), [&](const Graph& g) { return g.kind == kind && g.inputs.fit(inputs); });
  if (graph == graphs_.end()) {
    graphs_.push_back({.kind = kind, .inputs = GraphInputs(inputs)});
    return passes(inputs);
  }
  switch (graph->stage) {
    case Stage::known:
      graph->recorded_in = iteration;
      return record(*graph, inputs, passes);
    case Stage::recorded:
      if (graph->recorded_in != iteration) return compare(*graph, inputs, passes);
      break;  // another part with the same weights
    case Stage::trusted:
      graph->inputs.set(inputs);
      graph->replay();
      return graph->result.copy();
    case Stage::refused:
      break;
  }
  return passes(inputs);
}

}  // namespace lpnsr
