// lpnsr convert IN OUT.safetensors: any checkpoint that can be read as plain safetensors, with the names that a module wants.
#include <filesystem>
#include <iostream>

#include <fmt/format.h>

#include "core/checkpoint.h"
#include "core/error.h"
#include "core/log.h"
#include "tools/command_line.h"
#include "tools/commands.h"

namespace lpnsr {
namespace {

namespace po = boost::program_options;

StateDict halved(const StateDict& tensors, const std::string& origin) {
  StateDict result;
  for (const auto& [key, value] : tensors) {
    const bool wide = value.scalar_type() == at::kFloat || value.scalar_type() == at::kDouble;
    const at::Tensor half = wide ? value.to(at::kHalf) : value;
    if (wide && !half.isinf().equal(value.isinf())) {
      throw DataError(fmt::format("{}: '{}' has values beyond 65504, which float16 cannot hold; convert without --half", origin, key));
    }
    result.add(key, half);
  }
  return result;
}

}  // namespace

int run_convert(const Arguments& arguments) {
  CommandLine line("convert", "Converts a checkpoint to safetensors: the weights alone, under the names that the network has.",
                   "lpnsr convert noise_predictor.pth noise_predictor.safetensors");
  line.add()("input", po::value<std::string>()->required()->value_name("IN"), ".pth, .pt, .ckpt or .safetensors");
  line.add()("output", po::value<std::string>()->required()->value_name("OUT"), "the .safetensors file to write");
  line.add()("half", po::bool_switch(), "float32 and float64 become float16: half the size, 11 bits of precision");
  line.positional("input", 1);
  line.positional("output", 1);
  if (!line.parse(arguments)) return 0;
  const auto input = line.get<std::string>("input"), output = line.get<std::string>("output");
  if (std::filesystem::path(output).extension() != ".safetensors") {
    throw UsageError(fmt::format("'{}': the output's name must end in .safetensors, the only format written", output));
  }
  WeightsFile file = read_weights(input);
  for (const std::string& entry : nan_entries(file.tensors)) log_warning("{}: NaN in {}", input, entry);
  if (line.get<bool>("half")) file.tensors = halved(file.tensors, input);
  file.metadata.try_emplace("format", "pt");  // what readers in Python ask for
  write_safetensors(output, file.tensors, file.metadata);
  log_info("{}: {} tensors from {}", output, file.tensors.size(), input);
  return 0;
}

}  // namespace lpnsr
