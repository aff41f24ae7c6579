#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/checkpoint.h"
#include "core/device.h"
#include "core/files.h"
#include "core/log.h"
#include "diffusion/system.h"
#include "tools/command_line.h"
#include "tools/commands.h"
#include "tools/forward_modules.h"

namespace lpnsr {
namespace {

std::string summary() {
  std::string text =
      "Runs one module or metric on given tensors (float32, NCHW): the way to compare with any other implementation.\n"
      "Without --config the published full-size architecture is built.\n\nModules:";
  for (const auto& module : forward_modules()) text += fmt::format("\n  {:<20} {:<38} -> {}", module.name, module.inputs, module.outputs);
  return text;
}

}  // namespace

int run_forward(const Arguments& arguments) {
  namespace po = boost::program_options;
  CommandLine line("forward", summary(),
                   "lpnsr forward denoiser --weights resshift_realsrx4_s4_v3.pth --inputs in.safetensors --outputs out.safetensors");
  CommonOptions common;
  ForwardRequest request;
  std::string inputs, outputs, config;
  std::vector<std::string> weights;
  line.add()("module", po::value(&request.module)->required()->value_name("NAME"), "the module, see above")(
      "weights,w", po::value(&weights)->composing()->value_name("FILE"),
      "weights (.pth, .ckpt, .safetensors); several times where they come in several files")(
      "inputs,i", po::value(&inputs)->required()->value_name("FILE"), "safetensors file with the module's inputs")(
      "outputs,o", po::value(&outputs)->required()->value_name("FILE"), "safetensors file to write")(
      "config,c", po::value(&config)->value_name("TOML"), "the architecture, its keys named as in the published configurations");
  line.positional("module", 1);
  add_common_options(line, common, {"set", "weights-dir", "device", "precision", "threads"});
  if (!line.parse(arguments)) return 0;

  set_threads(common.threads);
  request.device = parse_device(common.device);
  request.precision = parse_precision(common.precision);
  request.weights.assign(weights.begin(), weights.end());
  if (!config.empty()) request.config = config;
  request.set = common.set;
  request.weights_dir = weights_folder(common.weights_dir);
  check_forward(request);
  make_folder_of(outputs);
  request.inputs = read_safetensors(inputs).tensors;
  request.inputs_origin = inputs;

  const StateDict results = run_forward_module(request);
  write_safetensors(outputs, results, {{"module", request.module}});
  for (const auto& [name, tensor] : results)
    log_info("{}: {} [{}]", name, c10::toString(tensor.scalar_type()), fmt::join(tensor.sizes(), ","));
  return 0;
}

}  // namespace lpnsr
