#include "trainers/graphed_step.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "core/kept.h"
#include "core/log.h"

namespace lpnsr {
namespace {

using Tensors = std::vector<at::Tensor>;

// For each network what passes change of it.
std::vector<Tensors> copies(const std::vector<TrainedNetwork*>& networks) {
  std::vector<Tensors> result;
  for (const auto* network : networks) {
    auto& tensors = result.emplace_back();
    for (const auto& tensor : network->changed_by_passes()) tensors.push_back(tensor.clone());
  }
  return result;
}

void put_back(const std::vector<Tensors>& values, const std::vector<TrainedNetwork*>& networks) {
  for (size_t n = 0; n < networks.size(); ++n) {
    const auto places = networks[n]->changed_by_passes();
    for (size_t i = 0; i < places.size(); ++i) places[i].copy_(values[n][i]);
  }
}

double difference(const Metrics& a, const Metrics& b) {
  double squares = 0;
  for (const auto& [name, value] : b) squares += std::pow((a.count(name) == 0 ? 0.0 : a.at(name)) - value, 2);
  return std::sqrt(squares);
}

enum class Verdict { same, different, not_finite };

Verdict verdict_on(double apart, double whole) {
  if (!std::isfinite(whole)) return Verdict::not_finite;
  return apart <= kGraphTolerance * whole ? Verdict::same : Verdict::different;
}

}  // namespace

Scalars GraphedStep::record(Graph& graph, const std::vector<at::Tensor>& inputs, const Passes& passes) const {
  graph.inputs.set(inputs);
  std::optional<Scalars> computed;
  try {
    RecordingScope recording(RecordingScope::Weights::change);
    graph.replay = recorder_(inputs.front().device(), [&] {
      graph.result = passes(graph.inputs.tensors());
      if (!computed) computed = graph.result.copy();
    });
    graph.kept = recording.held();
    graph.stage = Stage::recorded;
    graph.updates = updates();
  } catch (const c10::Error& error) {
    if (!computed) throw;
    log_warning("no CUDA graph could be recorded of an iteration, training goes on without: {}", error.what_without_backtrace());
    graph = refused(graph);
  }
  return *computed;
}

// Without the memory of what was recorded.
GraphedStep::Graph GraphedStep::refused(const Graph& graph) {
  return {.kind = graph.kind, .inputs = graph.inputs, .stage = Stage::refused};
}

Scalars GraphedStep::compare(Graph& graph, const std::vector<at::Tensor>& inputs, const Passes& passes) const {
  const auto networks = trained_();
  const auto before = copies(networks);
  graph.inputs.set(inputs);
  graph.replay();
  const auto replayed = copies(networks);
  const Metrics reported = graph.result.own();
  put_back(before, networks);
  const auto refuse = [&](const char* why) {
    log_warning("{}, training goes on without", why);
    graph = refused(graph);
  };
  Scalars computed;
  try {
    computed = passes(inputs);
  } catch (const c10::OutOfMemoryError&) {
    refuse("the memory does not suffice for an iteration beside its CUDA graph");
    put_back(before, networks);
    return passes(inputs);
  }
  const auto expected = copies(networks);
  std::vector<Verdict> verdicts{verdict_on(difference(reported, computed.own()), difference({}, computed.own()))};
  for (size_t n = 0; n < networks.size(); ++n) {
    verdicts.push_back(verdict_on(distance(replayed[n], expected[n]), distance(before[n], expected[n])));
  }
  const auto any = [&verdicts](Verdict v) { return std::find(verdicts.begin(), verdicts.end(), v) != verdicts.end(); };
  if (any(Verdict::not_finite)) return computed;  // as float16's first iterations are: says nothing about the graph
  if (any(Verdict::different)) {
    refuse("a CUDA graph repeated an iteration with another result");
  } else {
    graph.stage = Stage::trusted;
  }
  return computed;
}

int64_t GraphedStep::updates() const {
  int64_t sum = 0;
  for (const auto* network : trained_()) sum += network->updates();
  return sum;
}

Scalars GraphedStep::run(int64_t kind, const std::vector<at::Tensor>& inputs, const Passes& passes) {
  if (!recorder_) return passes(inputs);
  const auto graph = std::find_if(graphs_.begin(), graphs_.end(), [&](const Graph& g) { return g.kind == kind && g.inputs.fit(inputs); });
  if (graph == graphs_.end()) {
    graphs_.push_back({.kind = kind, .inputs = GraphInputs(inputs)});
    return passes(inputs);
  }
  switch (graph->stage) {
    case Stage::known:
      return record(*graph, inputs, passes);
    case Stage::recorded:
      // With the same weights a graph that does not follow them would not be found out.
      return graph->updates == updates() ? passes(inputs) : compare(*graph, inputs, passes);
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
