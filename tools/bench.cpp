// lpnsr bench: how fast a part is on this machine, and how much faster than its plain form.
#include "tools/bench.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <iostream>

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/device.h"
#include "core/error.h"
#include "core/log.h"
#include "diffusion/system.h"
#include "tools/command_line.h"
#include "tools/commands.h"

namespace lpnsr {
namespace {

struct NamedBench {
  const char* name;
  const char* summary;
  void (*run)(const BenchOptions&);
};

constexpr NamedBench parts[] = {
    {"degradation", "256x256 targets through the chain of the published configuration", bench_degradation},
};

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  const double place = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
}

}  // namespace

std::vector<Timing> time_in_turn(const std::vector<Contender>& contenders, int64_t rounds) {
  using Clock = std::chrono::steady_clock;
  std::vector<std::vector<double>> wall(contenders.size()), cpu(contenders.size());
  Progress progress("timing", rounds + 1, 0, "rounds");
  for (int64_t round = -1; round < rounds; ++round) {
    for (size_t i = 0; i < contenders.size(); ++i) {
      const auto cpu_now = [&] { return contenders[i].cpu_seconds ? contenders[i].cpu_seconds() : cpu_seconds(); };
      const double cpu_begin = cpu_now();
      const auto begin = Clock::now();
      contenders[i].call();
      const std::chrono::duration<double> taken = Clock::now() - begin;
      if (round < 0) continue;
      wall[i].push_back(taken.count() / contenders[i].items);
      cpu[i].push_back((cpu_now() - cpu_begin) / contenders[i].items);
    }
    progress.advance();
  }
  progress.finish();
  std::vector<Timing> timings;
  for (size_t i = 0; i < contenders.size(); ++i) {
    timings.push_back({contenders[i].name, quantile(wall[i], 0.5), quantile(wall[i], 0.25), quantile(wall[i], 0.75), quantile(cpu[i], 0.5),
                       contenders[i].peak_gib ? contenders[i].peak_gib() : 0.0});
  }
  return timings;
}

nlohmann::ordered_json timings_json(const std::string& part, const std::string& unit, const std::vector<Timing>& timings) {
  const Timing& plain = timings.back();
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const auto& t : timings) {
    rows.push_back({{"name", t.name},
                    {"wall_s", t.wall},
                    {"wall_quartiles_s", {t.wall_low, t.wall_high}},
                    {"cpu_s", t.cpu},
                    {"times_as_fast", plain.wall / t.wall},
                    {"times_the_work_a_cpu_second", plain.cpu / t.cpu}});
    if (t.peak_gib > 0) rows.back()["peak_gib"] = t.peak_gib;
  }
  return {{"part", part}, {"unit", unit}, {"timings", rows}};
}

std::string timings_text(const std::string& part, const std::string& unit, const std::vector<Timing>& timings) {
  const Timing& plain = timings.back();
  std::string text = fmt::format("{:<44} {:>12} {:>19} {:>12} {:>12} {:>8} {:>8}\n", part, "ms/" + unit, "(quartiles)", unit + "/s",
                                 unit + "/cpu s", "speed", "per cpu");
  for (const auto& t : timings) {
    text += fmt::format("{:<44} {:>12.3f} {:>19} {:>12.1f} {:>12.1f} {:>7.2f}x {:>7.2f}x\n", t.name, 1e3 * t.wall,
                        fmt::format("({:.3f}-{:.3f})", 1e3 * t.wall_low, 1e3 * t.wall_high), 1 / t.wall, 1 / t.cpu, plain.wall / t.wall,
                        plain.cpu / t.cpu);
  }
  for (const auto& t : timings) {
    if (t.peak_gib > 0) text += fmt::format("{:<44} {:>12.2f} GiB at most\n", t.name, t.peak_gib);
  }
  return text;
}

void print_timings(const std::string& part, const std::string& unit, const std::vector<Timing>& timings, bool json) {
  std::cout << (json ? timings_json(part, unit, timings).dump(2) + "\n" : timings_text(part, unit, timings));
}

int run_bench(const Arguments& arguments) {
  namespace po = boost::program_options;
  std::string list;
  for (const auto& part : parts) list += fmt::format("{}{} ({})", list.empty() ? "" : ", ", part.name, part.summary);
  for (const auto& network : bench_network_names()) list += ", " + network;
  CommandLine line("bench",
                   "Times a part of the program against its plain form, warm, in the same run. Parts: " + list +
                       ", metric:NAME (a metric on one picture; its speed is beside that of --against).",
                   "lpnsr bench degradation --threads 2\n"
                   "  lpnsr bench restore --experiment experiments/preset_a.toml experiments/sinsr.toml");
  CommonOptions common;
  BenchOptions options;
  std::string name;
  line.add()("part", po::value(&name)->required()->value_name("PART"), "what to time")(
      "rounds", po::value(&options.rounds)->value_name("N")->default_value(options.rounds), "timed calls of each contender")(
      "experiment", po::value(&options.experiments)->multitoken()->value_name("FILE"),
      "of networks, restore and train_step; else as published. Several: each in turn")(
      "serve", po::value(&options.serve)->value_name("fp32|bf16|plain"),
      "works once for each line on stdin (what the bench starts itself with)");
  line.add()("side", po::value(&options.side)->value_name("N")->default_value(options.side), "pixels a side of a metric's picture")(
      "against", po::value(&options.against)->value_name("COMMAND"),
      "times a metric beside a program that prints a line when ready and one for each line it is sent")(
      "save-pictures", po::value(&options.save_pictures)->value_name("DIR"), "writes a metric's image.png and reference.png");
  line.positional("part", 1);
  add_common_options(line, common, {"weights-dir", "threads", "json"});
  if (!line.parse(arguments)) return 0;
  if (options.rounds < 1) throw UsageError(fmt::format("--rounds {}: at least 1 was expected", options.rounds));
  set_threads(common.threads);
  options.threads = at::get_num_threads();
  options.json = common.json;
  options.weights_dir = weights_folder(common.weights_dir);
  if (options.side < 1) throw UsageError(fmt::format("--side {}: at least 1 was expected", options.side));
  const auto networks = bench_network_names();
  if (std::find(networks.begin(), networks.end(), name) != networks.end()) {
    if (options.serve.empty()) {
      bench_network(name, options);
    } else {
      serve_network(name, options);
    }
    return 0;
  }
  constexpr std::string_view metric_prefix = "metric:";
  if (name.starts_with(metric_prefix)) {
    bench_metric(name.substr(metric_prefix.size()), options);
    return 0;
  }
  std::vector<std::string> names = networks;
  for (const auto& part : parts) {
    if (name == part.name) {
      part.run(options);
      return 0;
    }
    names.emplace_back(part.name);
  }
  throw UsageError(fmt::format("bench: there is no part '{}'{}", name, did_you_mean(name, names)));
}

}  // namespace lpnsr
