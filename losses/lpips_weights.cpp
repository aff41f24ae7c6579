#include <fmt/ranges.h>

#include "core/checkpoint.h"
#include "core/error.h"
#include "losses/lpips.h"

namespace lpnsr {
namespace {

std::string name_of(LpipsNetwork network) {
  return network == LpipsNetwork::alex ? "alex" : network == LpipsNetwork::vgg ? "vgg" : "squeeze";
}

std::string guidance(LpipsNetwork network) {
  const auto files = lpips_files(network);
  return fmt::format("LPIPS ({}) needs {} ({}) and {} ({})", name_of(network), files[0].names.front(), files[0].what,
                     files[1].names.front(), files[1].what);
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

std::vector<NeededFile> lpips_files(LpipsNetwork network) {
  const std::string name = name_of(network);
  const bool alex = network == LpipsNetwork::alex, vgg = network == LpipsNetwork::vgg;
  const NeededFile backbone{{alex  ? "alexnet-owt-7be5be79.pth"
                             : vgg ? "vgg16-397923af.pth"
                                   : "squeezenet1_1-b8a52dc0.pth"},
                            "the backbone",
                            "download.pytorch.org/models"};
  const std::string hash = alex ? "df73285e" : vgg ? "a78928a0" : "4a5350f2";
  return {backbone,
          {{"lpips_" + name + ".pth", name + ".pth", fmt::format("LPIPS_v0.1_{}-{}.pth", name, hash), "lpips_lin_" + name + ".pth"},
           "the linear layers of LPIPS 0.1, or the whole module",
           fmt::format("weights/v0.1/{0}.pth of the package lpips; {0}.pth is found too", name)}};
}

std::vector<std::filesystem::path> find_lpips_files(LpipsNetwork network, const std::filesystem::path& weights) {
  const auto files = lpips_files(network);
  if (find_needed(weights, files[0]).empty()) {
    const auto linear = find_needed(weights, files[1]);
    if (!linear.empty() && !read_weights(linear).tensors.below("net.").empty()) return {linear};
  }
  return find_all_needed(weights, files, fmt::format("LPIPS ({})", name_of(network)));
}

}  // namespace lpnsr
