#pragma once
// What a training run would be, without training: its networks, its cost, its data, and what is missing.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <c10/core/Device.h>

#include "trainers/experiment.h"

namespace lpnsr {

struct TrainingPlan {
  struct Network {
    std::string name;
    int64_t parameters = 0;
    bool trained = false;
    std::string weights;  // the file; "missing"; or where a trained network starts from
  };
  // Iterations that update the same networks.
  struct Iteration {
    std::vector<std::string> updates;
    double flops = 0;              // a picture, forward and backward
    int64_t activation_bytes = 0;  // a picture: tensors alive together, besides what `held` lists
  };
  struct Bytes {
    int64_t weights = 0, gradients = 0, optimizer = 0, average = 0;  // of all networks, frozen ones too
    int64_t held() const { return weights + gradients + optimizer + average; }
  };

  std::vector<Network> networks;
  std::vector<Iteration> iterations;
  Bytes bytes;               // that a process holds all the time
  int64_t part = 0;          // pictures that a process computes at a time
  int64_t pictures = 0;      // found; 0 where data are missing
  int64_t epoch_length = 0;  // iterations; 0 where it is not known
  int64_t epochs = 0;
  double first_rate = 0, last_rate = 0;
  std::vector<std::string> missing;  // each with what it is for and where it comes from

  // Of the iteration that takes the most.
  int64_t peak_bytes() const;
};

// Builds the networks with any weights and takes one picture through one iteration of each kind on `device`: the costs are counted, not
// computed by formulas. Nothing is written. Throws UsageError for impossible settings; files and folders that are not there are listed in
// `missing`.
TrainingPlan plan_training(const Experiment& experiment, const std::filesystem::path& weights_folder, c10::Device device,
                           int64_t processes);

}  // namespace lpnsr
