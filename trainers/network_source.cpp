#include "trainers/network_source.h"

#include "core/checkpoint.h"
#include "core/error.h"
#include "core/random.h"
#include "diffusion/system.h"

namespace lpnsr {
namespace {

int64_t count(const torch::nn::Module& network) {
  int64_t parameters = 0;
  for (const auto& parameter : network.parameters()) parameters += parameter.numel();
  return parameters;
}

}  // namespace

std::vector<std::filesystem::path> NetworkSource::noted(const std::function<std::vector<std::filesystem::path>()>& find) {
  if (reads_) return find();
  try {
    return find();
  } catch (const Error& error) {
    missing_.emplace_back(error.what());
    return {};
  }
}

void NetworkSource::load_frozen(torch::nn::Module& network, const std::string& name, const std::string& role) {
  const auto found = noted([&] { return std::vector{find_weights(name, folder_, "the " + role)}; });
  frozen_.push_back({role, count(network), found.empty() ? std::filesystem::path() : found.front()});
  if (reads_) {
    lpnsr::load_frozen(network, name, folder_, "the " + role);
  } else {
    network.eval();
    for (auto& parameter : network.parameters()) parameter.requires_grad_(false);
  }
  network.to(device_);
}

void NetworkSource::seed_initial_weights(const Experiment& experiment) {
  torch::manual_seed(stream_seed(static_cast<uint64_t>(experiment.seed), "initial weights"));
}

void NetworkSource::load_initial(torch::nn::Module& network, const std::string& name) {
  if (!name.empty()) {
    const auto found = noted([&] { return std::vector{find_weights(name, folder_, "training.initial_weights")}; });
    if (reads_) load_strictly(network, read_weights(found.front()).tensors, found.front().string());
  }
  network.to(device_);
}

Lpips NetworkSource::lpips(const LossOptions& options) {
  if (options.lpips <= 0) return nullptr;
  const LpipsNetwork kind = options.lpips_network == "vgg" ? LpipsNetwork::vgg : LpipsNetwork::alex;
  const auto files = noted([&] { return find_lpips_files(kind, folder_); });
  Lpips network = reads_ ? load_lpips(kind, files) : Lpips(kind);
  network->eval();
  network->to(device_);
  frozen_.push_back({"LPIPS (" + options.lpips_network + ")", count(*network), files.empty() ? std::filesystem::path() : files.front()});
  return network;
}

}  // namespace lpnsr
