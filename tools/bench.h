#pragma once
// Timing of one part against a plain form of the same work, in the same minute.
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace lpnsr {

struct Contender {
  std::string name;
  double items = 1;            // that one call makes
  std::function<void()> call;  // deterministic work of about the same length each time
  // Of the process that works, where it is another one: processor time so far, and the most memory that it held.
  std::function<double()> cpu_seconds = {};
  std::function<double()> peak_gib = {};
};

// Seconds an item: medians and quartiles over the rounds.
struct Timing {
  std::string name;
  double wall = 0, wall_low = 0, wall_high = 0;
  double cpu = 0;       // of all threads together
  double peak_gib = 0;  // 0: not measured
};

// One call of each to warm up, then `rounds` times one call of each in turn: a machine that slows down slows them all.
std::vector<Timing> time_in_turn(const std::vector<Contender>& contenders, int64_t rounds);

// As JSON, and as a table; ratios are of the last contender, the plain form, to each.
nlohmann::ordered_json timings_json(const std::string& part, const std::string& unit, const std::vector<Timing>& timings);
std::string timings_text(const std::string& part, const std::string& unit, const std::vector<Timing>& timings);
// Either of them on stdout.
void print_timings(const std::string& part, const std::string& unit, const std::vector<Timing>& timings, bool json);

struct BenchOptions {
  int64_t rounds = 7, threads = 0;
  bool json = false;
  // Of networks:
  std::vector<std::string> experiments;  // files; none: the published configuration
  std::string serve;                     // not empty: work in this way once for each line on stdin
  // Of metrics:
  std::filesystem::path weights_dir;
  int64_t side = 512;         // of the picture
  std::string against;        // a program that scores once for each line it is sent (tools/bench-metrics)
  std::string save_pictures;  // a folder that image.png and reference.png are written to first
};
void bench_degradation(const BenchOptions& options);
void bench_network(const std::string& name, const BenchOptions& options);
void serve_network(const std::string& name, const BenchOptions& options);
std::vector<std::string> bench_network_names();
void bench_metric(const std::string& name, const BenchOptions& options);

}  // namespace lpnsr
