#pragma once
// Where the networks of a training run come from: files of weights, the run's seed or, for a dry run, nowhere.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <c10/core/Device.h>
#include <torch/nn/module.h>

#include "losses/lpips.h"
#include "trainers/experiment.h"

namespace lpnsr {

class NetworkSource {
 public:
  // Without `reads` no file is opened: networks keep the values they are made with, and what would be missing is noted.
  NetworkSource(std::filesystem::path weights_folder, c10::Device device, bool reads = true)
      : folder_(std::move(weights_folder)), device_(device), reads_(reads) {}

  // A network with the weights of the file `name` (found as find_weights does), in eval mode, without gradients.
  template <class Network, class Options>
  Network frozen(const Options& options, const std::string& name, const std::string& role) {
    Network network(options);
    load_frozen(*network, name, role);
    return network;
  }
  // The network that is trained: its weights come from training.initial_weights or, where that names none, from the run's seed.
  template <class Network, class Options>
  Network trained(const Options& options, const Experiment& experiment) {
    seed_initial_weights(experiment);
    Network network(options);
    load_initial(*network, experiment.training.initial_weights);
    return network;
  }
  // The same for a network that exists: training.initial_weights, or the weights that it has.
  template <class Network>
  Network trained_from(Network network, const Experiment& experiment) {
    load_initial(*network, experiment.training.initial_weights);
    return network;
  }
  // LPIPS with frozen weights; empty where its weight is 0. Throws Error naming the files that are missing.
  Lpips lpips(const LossOptions& options);

  struct Frozen {
    std::string role;
    int64_t parameters = 0;
    std::filesystem::path file;  // empty where it is missing
  };
  const std::vector<Frozen>& frozen() const { return frozen_; }
  // What a dry run did not find, each with what it is for and where it comes from.
  const std::vector<std::string>& missing() const { return missing_; }

 private:
  static void seed_initial_weights(const Experiment& experiment);
  void load_frozen(torch::nn::Module& network, const std::string& name, const std::string& role);
  void load_initial(torch::nn::Module& network, const std::string& name);
  // The files, or none of them and a note (dry run).
  std::vector<std::filesystem::path> noted(const std::function<std::vector<std::filesystem::path>()>& find);

  std::filesystem::path folder_;
  c10::Device device_;
  bool reads_;
  std::vector<Frozen> frozen_;
  std::vector<std::string> missing_;
};

}  // namespace lpnsr
