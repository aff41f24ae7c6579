#include <fmt/ranges.h>

#include "core/checkpoint.h"
#include "core/error.h"
#include "core/published_weights.h"
#include "losses/lpips.h"

namespace lpnsr {
namespace {

std::string name_of(LpipsNetwork network) {
  return network == LpipsNetwork::alex ? "alex" : network == LpipsNetwork::vgg ? "vgg" : "squeeze";
}

std::string guidance(LpipsNetwork network) {
  const auto files = lpips_files(network);
  return fmt::format("LPIPS ({}) needs {} (the backbone) and {} (the linear layers, or the whole module)", name_of(network), files[0],
                     files[1]);
}

bool starts_with(const std::string& key, std::string_view prefix) { return key.rfind(prefix, 0) == 0; }

// One file's entries under the module's names; where it repeats the linear layers as lins.K they are taken once.
void add_entries(const std::filesystem::path& file, LpipsNetwork network, StateDict& all) {
  const auto weights = read_weights(file).tensors;
  for (const auto& [key, tensor] : backbone_from_torchvision(backbone_of(network), weights).with_prefix("net.")) all.add(key, tensor);
  std::vector<std::string> strange;
  for (const auto& [key, tensor] : weights) {
    if (starts_with(key, "net.slice") || (starts_with(key, "lin") && !starts_with(key, "lins."))) {
      all.add(key, tensor);
    } else if (starts_with(key, "lins.")) {
      const std::string single = "lin" + key.substr(5);
      if (!weights.contains(single)) all.add(single, tensor);
    } else if (!starts_with(key, "scaling_layer.") && !starts_with(key, "features.") && !starts_with(key, "classifier.")) {
      strange.push_back(key);
    }
  }
  if (strange.empty()) return;
  const size_t shown = std::min<size_t>(strange.size(), 5);
  throw DataError(fmt::format("{}: not a file of LPIPS: {} unknown keys, such as {}\n{}", file.string(), strange.size(),
                              fmt::join(strange.begin(), strange.begin() + static_cast<std::ptrdiff_t>(shown), ", "), guidance(network)));
}

}  // namespace

Lpips load_lpips(LpipsNetwork network, const std::vector<std::filesystem::path>& files) {
  if (files.empty()) throw UsageError("LPIPS: no weight files given\n" + guidance(network));
  StateDict entries;
  std::vector<std::string> names;
  for (const auto& file : files) {
    add_entries(file, network, entries);
    names.push_back(file.string());
  }
  const std::string origin = fmt::format("{}", fmt::join(names, " + "));
  if (entries.below("net.").empty()) throw DataError(fmt::format("{}: the backbone is missing\n{}", origin, guidance(network)));
  if (entries.below("lin").empty()) throw DataError(fmt::format("{}: the linear layers are missing\n{}", origin, guidance(network)));
  Lpips lpips(network);
  load_strictly(*lpips, entries, origin, {.derived = {"scaling_layer."}});
  lpips->eval();
  return lpips;
}

std::vector<std::string> lpips_files(LpipsNetwork network) {
  switch (network) {
    case LpipsNetwork::alex:
      return {"alexnet-owt-7be5be79.pth", "LPIPS_v0.1_alex-df73285e.pth"};
    case LpipsNetwork::vgg:
      return {"vgg16-397923af.pth", "LPIPS_v0.1_vgg-a78928a0.pth"};
    case LpipsNetwork::squeeze:
      break;
  }
  return {"squeezenet1_1-b8a52dc0.pth", "LPIPS_v0.1_squeeze-4a5350f2.pth"};
}

std::vector<std::filesystem::path> find_lpips_files(LpipsNetwork network, const std::filesystem::path& weights) {
  const auto files = lpips_files(network);
  if (find_file(published_file(files[0]), weights).empty()) {
    const auto linear = find_file(published_file(files[1]), weights);
    if (!linear.empty() && !read_weights(linear).tensors.below("net.").empty()) return {linear};
  }
  return find_files(files, weights, fmt::format("LPIPS ({})", name_of(network)));
}

}  // namespace lpnsr
