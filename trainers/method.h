#pragma once
// What differs between the trainers: the losses of one part of a batch, their state and their samples. The iteration (trainers/iteration.h)
// and the loop around it (trainers/training_loop.h) are shared.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "core/state_dict.h"
#include "diffusion/sampler.h"
#include "trainers/data.h"
#include "trainers/experiment.h"
#include "trainers/graphed_step.h"
#include "trainers/network_source.h"
#include "trainers/placement.h"
#include "trainers/scalars.h"
#include "trainers/trained_network.h"

namespace lpnsr {

// Where an iteration stands; `iteration` counts from 0, `epoch` from 1.
struct StepPosition {
  int64_t iteration = 0;
  int64_t epoch = 1;
  double learning_rate = 0;
};

// What one process handles at a time of an iteration's batch: HR and LR pictures in [0,1] on its device.
struct Part {
  Batch batch;
  int64_t first = 0, total = 0;     // the first picture's place in the batch of all processes, and the size of that
  int64_t number = 0, of_many = 1;  // among the parts of this process, whose losses are averaged
  bool last() const { return number + 1 == of_many; }
};

// Standard normals for a part, cut out of those for the whole batch: neither the number of ranks nor that of parts changes a draw. They
// come from the CPU's generator, so neither does the device.
DrawNormal normals_for(const Part& part, at::Generator generator);

class TrainingMethod {
 public:
  // `recorder`: of the passes as graphs; empty: none.
  explicit TrainingMethod(GraphRecorder recorder = {}) : graphs_(std::move(recorder), [this] { return networks(); }) {}
  virtual ~TrainingMethod() = default;
  TrainingMethod(const TrainingMethod&) = delete;
  TrainingMethod& operator=(const TrainingMethod&) = delete;

  // A network that an iteration updates, the rate, and what the norm of its gradient is called.
  struct Due {
    TrainedNetwork* network;
    double rate;
    std::string norm;
  };
  virtual std::vector<Due> due(const StepPosition& position) = 0;
  // Forward and backward passes of one part: adds to the gradients of the networks that are due. As a graph where the method was given a
  // recorder.
  void accumulate(const Part& part, const StepPosition& position, Scalars& scalars);
  // What follows the update.
  virtual void updated(const StepPosition& /*position*/, Metrics& /*metrics*/) {}

  // The networks that are trained, by the names they have in checkpoints; the product first.
  struct Member {
    std::string name;
    TrainedNetwork* network;
    std::string begins = "from the seed";  // for people
  };
  virtual std::vector<Member> trained() const = 0;

  // Everything that an iteration changes: these networks, and what a method keeps besides.
  virtual StateDict save() const;
  virtual void load(const StateDict& saved, const std::string& origin);

  // The product's moving average, or its weights where there is none.
  StateDict weights() const { return trained().front().network->average(); }
  std::string weights_name() const { return trained().front().name + ".safetensors"; }

  // What the system makes of the batch as training stands, [N,3,H,W] in [0,1]: of the LR pictures, or of the HR ones (autoencoder).
  virtual at::Tensor restored(const Batch& batch) = 0;
  // While the result lives the product computes with its moving average.
  AverageScope averaged() { return AverageScope(*trained().front().network); }

 protected:
  // The random numbers that a part needs, on its device. They come from streams of (experiment seed, name, iteration), so there is no
  // generator to save.
  virtual std::vector<at::Tensor> draws(const Part& /*part*/, const StepPosition& /*position*/) { return {}; }
  // Iterations of one kind make the same passes.
  virtual int64_t kind(const StepPosition& /*position*/) const { return 0; }
  // What accumulate() does, given the draws. Where it is to run as a graph it depends on nothing else but the part's pictures, the kind of
  // the iteration and the weights, and does not wait for the device.
  virtual Scalars passes(const Part& part, const StepPosition& position, const std::vector<at::Tensor>& draws) = 0;

 private:
  std::vector<TrainedNetwork*> networks() const;
  GraphedStep graphs_;
};

// Builds the networks from `source` and refuses impossible settings before anything runs.
std::unique_ptr<TrainingMethod> make_training_method(const Experiment& experiment, NetworkSource& source, const Placement& placement = {});

}  // namespace lpnsr
