#include <fstream>
#include <iostream>
#include <thread>
#include <zlib.h>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <boost/version.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <opencv2/core/utility.hpp>
#include <toml++/toml.h>
#ifdef LPNSR_CUDA
#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAFunctions.h>
#endif

#include "core/device.h"
#include "diffusion/system.h"
#include "tools/command_line.h"
#include "tools/commands.h"

namespace lpnsr {
namespace {

using Json = nlohmann::ordered_json;

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(std::min(line.find(':') + 2, line.size()));
  }
  return "unknown";
}

Json devices() {
  Json list = Json::array();
  list.push_back({{"device", "cpu"}, {"name", processor_name()}, {"vector_instructions", at::get_cpu_capability()}});
#ifdef LPNSR_CUDA
  for (int i = 0; i < c10::cuda::device_count(); ++i) {
    const auto* properties = at::cuda::getDeviceProperties(static_cast<c10::DeviceIndex>(i));
    list.push_back({{"device", fmt::format("cuda:{}", i)},
                    {"name", properties->name},
                    {"compute_capability", fmt::format("{}.{}", properties->major, properties->minor)},
                    {"memory_gib", static_cast<double>(properties->totalGlobalMem) / (1 << 30)}});
  }
#endif
  return list;
}

Json libraries() {
  const std::string json = fmt::format("{}.{}.{}", NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR, NLOHMANN_JSON_VERSION_PATCH);
  return {{"libtorch", TORCH_VERSION},
          {"opencv", cv::getVersionString()},
          {"toml++", fmt::format("{}.{}.{}", TOML_LIB_MAJOR, TOML_LIB_MINOR, TOML_LIB_PATCH)},
          {"boost", fmt::format("{}.{}.{}", BOOST_VERSION / 100000, BOOST_VERSION / 100 % 1000, BOOST_VERSION % 100)},
          {"nlohmann-json", json},
          {"fmt", fmt::format("{}.{}.{}", FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100)},
          {"zlib", zlibVersion()}};
}

Json collect(const CommonOptions& common) {
#ifdef LPNSR_CUDA
  const bool cuda = true;
#else
  const bool cuda = false;
#endif
  const auto weights = weights_folder(common.weights_dir);
  return {{"version", LPNSR_VERSION},
          {"compiler", fmt::format("gcc {}", __VERSION__)},
          {"cuda_build", cuda},
          {"mkldnn", at::hasMKLDNN()},
          {"mkl", at::hasMKL()},
          {"threads", at::get_num_threads()},
          {"cores", std::thread::hardware_concurrency()},
          {"devices", devices()},
          {"libraries", libraries()},
          {"weights_folder", {{"path", weights.string()}, {"exists", std::filesystem::is_directory(weights)}}}};
}

void print_text(const Json& info) {
  const auto yes = [](const Json& flag) { return flag.get<bool>() ? "yes" : "no"; };
  std::cout << fmt::format("lpnsr {} ({})\n", info["version"].get<std::string>(), info["compiler"].get<std::string>());
  std::cout << fmt::format("threads   {} of {} cores\n", info["threads"].get<int>(), info["cores"].get<unsigned>());
  std::cout << fmt::format("oneDNN    {}, MKL {}, GPU build {}\n", yes(info["mkldnn"]), yes(info["mkl"]), yes(info["cuda_build"]));
  for (const auto& device : info["devices"]) {
    std::cout << fmt::format("{:<9} {}", device["device"].get<std::string>(), device["name"].get<std::string>());
    if (device.contains("vector_instructions")) std::cout << ", " << device["vector_instructions"].get<std::string>();
    if (device.contains("memory_gib")) {
      std::cout << fmt::format(", {:.0f} GiB, compute capability {}", device["memory_gib"].get<double>(),
                               device["compute_capability"].get<std::string>());
    }
    std::cout << "\n";
  }
  for (const auto& [library, version] : info["libraries"].items())
    std::cout << fmt::format("{:<13} {}\n", library, version.get<std::string>());
  const auto& weights = info["weights_folder"];
  std::cout << fmt::format("weights       {}{}\n", weights["path"].get<std::string>(), weights["exists"].get<bool>() ? "" : " (not there)");
}

}  // namespace

int run_info(const Arguments& arguments) {
  CommandLine line("info", "Version, libraries, devices and threads: what to quote when results differ between machines.",
                   "lpnsr info --json");
  CommonOptions common;
  add_common_options(line, common, {"threads", "weights-dir", "json"});
  if (!line.parse(arguments)) return 0;
  set_threads(common.threads);
  const Json info = collect(common);
  if (common.json) {
    std::cout << info.dump(2) << "\n";
  } else {
    print_text(info);
  }
  return 0;
}

}  // namespace lpnsr
