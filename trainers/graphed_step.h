#pragma once
// The passes of an iteration as a CUDA graph, where their shapes come again.
#include <any>
#include <functional>
#include <list>
#include <vector>

#include "core/cuda_graph.h"
#include "trainers/scalars.h"
#include "trainers/trained_network.h"

namespace lpnsr {

class GraphedStep {
 public:
  // Forward and backward passes on given tensors, some of which may be undefined: pictures and draws. They add to gradients and report.
  using Passes = std::function<Scalars(const std::vector<at::Tensor>& inputs)>;
  // `trained`: the networks whose gradients and buffers the passes change, in memory that stays.
  GraphedStep(GraphRecorder recorder, std::function<std::vector<TrainedNetwork*>()> trained)
      : recorder_(std::move(recorder)), trained_(std::move(trained)) {}

  // passes(inputs): operator by operator when this kind of passes comes with these shapes for the first time, recorded the second time.
  // After an update of the weights the graph is compared with the passes, for which there have to be twice the activations; from then on it
  // runs instead of them. What cannot be recorded or does something else goes on as it is, with a warning. `passes` of one `kind` differ in
  // nothing but inputs and weights.
  Scalars run(int64_t kind, const std::vector<at::Tensor>& inputs, const Passes& passes);

 private:
  enum class Stage { known, recorded, trusted, refused };
  struct Graph {
    int64_t kind;
    GraphInputs inputs;
    Stage stage = Stage::known;
    int64_t updates = 0;  // of the networks, when it was recorded
    Scalars result = {};  // the graph writes this
    std::function<void()> replay = {};
    std::vector<std::any> kept = {};  // that it reads besides
  };
  Scalars record(Graph& graph, const std::vector<at::Tensor>& inputs, const Passes& passes) const;
  Scalars compare(Graph& graph, const std::vector<at::Tensor>& inputs, const Passes& passes) const;
  static Graph refused(const Graph& graph);
  int64_t updates() const;

  GraphRecorder recorder_;
  std::function<std::vector<TrainedNetwork*>()> trained_;
  std::list<Graph> graphs_;  // whose addresses stay
};

}  // namespace lpnsr
