#include <fmt/ranges.h>

#include "core/checkpoint.h"
#include "core/error.h"
#include "losses/lpips.h"

namespace lpnsr {
namespace {

struct PublishedNames {
  std::string network;
  std::vector<std::string> backbone, linear;  // stems, the usual one first
};

const PublishedNames& published(LpipsNetwork network) {
  static const PublishedNames alex{"alex", {"alexnet-owt-7be5be79"}, {"lpips_alex", "alex", "LPIPS_v0.1_alex-df73285e", "lpips_lin_alex"}};
  static const PublishedNames vgg{"vgg", {"vgg16-397923af"}, {"lpips_vgg", "vgg", "LPIPS_v0.1_vgg-a78928a0", "lpips_lin_vgg"}};
  return network == LpipsNetwork::alex ? alex : vgg;
}

std::string guidance(LpipsNetwork network) {
  const auto& names = published(network);
  return fmt::format(
      "LPIPS ({0}) needs two files in the weights folder (--weights-dir, $LPNSR_WEIGHTS or weights/):\n"
      "  {1}.pth  torchvision's backbone\n"
      "  {2}.pth  the linear layers of LPIPS 0.1 (weights/v0.1/{0}.pth of the package 'lpips'; {0}.pth is found too)\n"
      "either may be a .safetensors, or {2}.pth may hold the whole module",
      names.network, names.backbone.front(), names.linear.front());
}

bool starts_with(const std::string& key, std::string_view prefix) { return key.rfind(prefix, 0) == 0; }

// One file's entries under the module's names; where it repeats the linear layers as lins.K they are taken once.
void add_entries(const std::filesystem::path& file, LpipsNetwork network, StateDict& all) {
  const auto weights = read_weights(file).tensors;
  const Backbone backbone = network == LpipsNetwork::vgg ? Backbone::vgg16 : Backbone::alexnet;
  for (const auto& [key, tensor] : backbone_from_torchvision(backbone, weights).with_prefix("net.")) all.add(key, tensor);
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

std::filesystem::path first_existing(const std::filesystem::path& folder, const std::vector<std::string>& stems) {
  for (const auto& stem : stems) {
    for (const char* extension : {".pth", ".safetensors"}) {
      if (std::filesystem::is_regular_file(folder / (stem + extension))) return folder / (stem + extension);
    }
  }
  return {};
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

std::vector<std::filesystem::path> find_lpips_files(LpipsNetwork network, const std::filesystem::path& weights) {
  const auto& names = published(network);
  const auto backbone = first_existing(weights, names.backbone), linear = first_existing(weights, names.linear);
  if (!backbone.empty() && !linear.empty()) return {backbone, linear};
  if (!linear.empty() && !read_weights(linear).tensors.below("net.").empty()) return {linear};
  std::vector<std::string> missing;
  if (backbone.empty()) missing.push_back(names.backbone.front() + ".pth");
  if (linear.empty()) missing.push_back(names.linear.front() + ".pth");
  throw Error(fmt::format("{}: {} not found\n{}", weights.string(), fmt::join(missing, " and "), guidance(network)));
}

}  // namespace lpnsr
