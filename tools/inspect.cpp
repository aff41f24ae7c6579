// lpnsr inspect FILE: what a checkpoint holds and which network it fits.
#include <iostream>

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "core/checkpoint.h"
#include "core/json_text.h"
#include "tools/command_line.h"
#include "tools/commands.h"
#include "tools/module_fit.h"

namespace lpnsr {
namespace {

namespace po = boost::program_options;

struct Totals {
  int64_t values = 0;
  uint64_t bytes = 0;
};

Totals totals_of(const StateDict& tensors) {
  Totals totals;
  for (const auto& entry : tensors) {
    totals.values += entry.second.numel();
    totals.bytes += entry.second.nbytes();
  }
  return totals;
}

std::string type_name(const at::Tensor& tensor) { return c10::getDtypeNames(tensor.scalar_type()).first; }

void print_json(const std::string& path, const WeightsFile& file, const std::vector<ModuleFit>& fits, const std::vector<std::string>& nan) {
  nlohmann::ordered_json tensors = nlohmann::ordered_json::array(), modules = nlohmann::ordered_json::array();
  for (const auto& [key, tensor] : file.tensors)
    tensors.push_back({{"key", key}, {"shape", tensor.sizes().vec()}, {"type", type_name(tensor)}});
  for (const ModuleFit& fit : fits) {
    modules.push_back({{"module", fit.module},
                       {"fits", fit.faults.none()},
                       {"missing", fit.faults.missing},
                       {"extra", fit.faults.extra},
                       {"shapes", fit.faults.shapes},
                       {"types", fit.faults.types}});
  }
  const Totals totals = totals_of(file.tensors);
  const nlohmann::ordered_json report = {{"file", path},
                                         {"format", file.format},
                                         {"found_under", file.found_under},
                                         {"stripped_prefix", file.stripped_prefix},
                                         {"metadata", file.metadata},
                                         {"values", totals.values},
                                         {"bytes", totals.bytes},
                                         {"nan", nan},
                                         {"modules", modules},
                                         {"tensors", tensors}};
  std::cout << json_text(report, 2) << "\n";
}

void print_fits(const std::vector<ModuleFit>& fits) {
  if (fits.empty()) std::cout << "fits none of the networks known here\n";
  for (const ModuleFit& fit : fits) {
    const Misfits& faults = fit.faults;
    if (faults.none()) {
      std::cout << fmt::format("fits {} (published configuration)\n", fit.module);
      continue;
    }
    std::cout << fmt::format("does not fit {}: {} missing, {} extra, {} of another shape, {} of another type\n", fit.module,
                             faults.missing.size(), faults.extra.size(), faults.shapes.size(), faults.types.size());
    for (const auto* faults_of_kind : {&faults.missing, &faults.extra, &faults.shapes, &faults.types}) {
      if (!faults_of_kind->empty()) std::cout << "  for example " << faults_of_kind->front() << "\n";
    }
  }
}

void print_text(const std::string& path, const WeightsFile& file, const std::vector<ModuleFit>& fits, const std::vector<std::string>& nan) {
  const Totals totals = totals_of(file.tensors);
  std::cout << fmt::format("{}: {}", path, file.format);
  if (!file.found_under.empty()) std::cout << ", found under " << file.found_under;
  if (!file.stripped_prefix.empty()) std::cout << ", prefix " << file.stripped_prefix << " taken off";
  std::cout << fmt::format("\n{} tensors, {} values, {:.1f} MiB\n", file.tensors.size(), totals.values,
                           static_cast<double>(totals.bytes) / (1 << 20));
  for (const auto& [key, value] : file.metadata) std::cout << fmt::format("metadata {}: {}\n", key, value);
  print_fits(fits);
  for (const std::string& entry : nan) std::cout << "NaN in " << entry << "\n";
  size_t width = 0;
  for (const auto& entry : file.tensors) width = std::max(width, entry.first.size());
  for (const auto& [key, tensor] : file.tensors) {
    std::cout << fmt::format("{:<{}}  {:<9} [{}]\n", key, width, type_name(tensor), fmt::join(tensor.sizes(), ", "));
  }
}

}  // namespace

int run_inspect(const Arguments& arguments) {
  CommandLine line("inspect", "Shows what a checkpoint holds: keys, shapes, types, and which network it fits.",
                   "lpnsr inspect noise_predictor.pth");
  CommonOptions common;
  line.add()("file", po::value<std::string>()->required()->value_name("FILE"), ".pth, .pt, .ckpt or .safetensors");
  line.positional("file", 1);
  add_common_options(line, common, {"json"});
  if (!line.parse(arguments)) return 0;
  const auto path = line.get<std::string>("file");
  const WeightsFile file = read_weights(path);
  const auto fits = fits_of(file.tensors);
  const auto nan = nan_entries(file.tensors);
  if (common.json) {
    print_json(path, file, fits, nan);
  } else {
    print_text(path, file, fits, nan);
  }
  return 0;
}

}  // namespace lpnsr
