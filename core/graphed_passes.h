#pragma once
// Passes through a frozen network as CUDA graphs: hundreds of small launches become one.
#include <any>
#include <functional>
#include <list>
#include <vector>

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include "core/cuda_graph.h"
#include "core/kept.h"

namespace lpnsr {

// Within its life, and on its thread, networks may record their passes; `on` = false for where none shall be.
class GraphScope {
 public:
  explicit GraphScope(bool on);
  ~GraphScope();
  GraphScope(const GraphScope&) = delete;
  GraphScope& operator=(const GraphScope&) = delete;

 private:
  bool before_;
};

class GraphedPasses {
 public:
  using Pass = std::function<at::Tensor(const std::vector<at::Tensor>& inputs)>;

  // By CUDA graphs; without CUDA there are none.
  GraphedPasses() : GraphedPasses(c10::kCUDA, cuda_graph_recorder()) {}
  GraphedPasses(c10::DeviceType device, GraphRecorder recorder) : device_(device), recorder_(std::move(recorder)) {}

  // pass(inputs), some of which may be undefined. Within a GraphScope, on the recorder's device, without gradients and autocast and where
  // `network` is frozen: recorded when shapes, types and the tensor `constant` come a second time, replayed from then on, and recorded anew
  // after a weight was written to or moved. `pass` must depend on nothing else, draw nothing and not wait for the device. What cannot be
  // recorded, or gives something else when replayed, goes on as it is, with a warning.
  at::Tensor run(const torch::nn::Module& network, const std::vector<at::Tensor>& inputs, const at::Tensor& constant, const Pass& pass);

 private:
  struct Graph {
    at::Tensor constant;
    GraphInputs inputs;
    at::Tensor result = {};             // the graph writes this
    std::function<void()> replay = {};  // undefined as long as nothing is recorded
    std::vector<std::any> kept = {};    // that it reads besides
    bool refused = false;
  };
  bool fits(const torch::nn::Module& network, const at::Tensor& input);
  Graph* known(const std::vector<at::Tensor>& inputs, const at::Tensor& constant);
  at::Tensor record(Graph& graph, const std::vector<at::Tensor>& inputs, const Pass& pass) const;

  c10::DeviceType device_;
  GraphRecorder recorder_;
  std::vector<at::Tensor> weights_;  // listing those of a network takes longer than starting a graph
  SeenWeights seen_;
  std::list<Graph> graphs_;  // whose addresses stay
};

}  // namespace lpnsr
