// A metric's time on one picture, beside another program that computes the same.
#include <optional>

#include <ATen/Functions.h>
#include <fmt/format.h>

#include "core/error.h"
#include "core/image.h"
#include "core/log.h"
#include "core/random.h"
#include "eval/metrics.h"
#include "tools/bench.h"
#include "tools/child_process.h"

namespace lpnsr {
namespace {

// Smooth areas, edges and grain: no metric meets a flat picture.
at::Tensor bench_picture(int64_t side, uint64_t seed) {
  const auto generator = make_generator(seed);
  const auto noise = [&](int64_t size) { return at::rand({1, 3, size, size}, generator, at::kFloat); };
  auto picture = at::upsample_bicubic2d(noise(8), {side, side}, false) * 0.6 + at::upsample_nearest2d(noise(32), {side, side}) * 0.3;
  picture = (picture + 0.05 * noise(side)).clamp(0, 1);
  return (picture * 255).round().div(255).squeeze(0);
}

}  // namespace

void bench_metric(const std::string& name, const BenchOptions& options) {
  const Metric metric = make_metric(name, {.weights = options.weights_dir});
  at::Tensor image = bench_picture(options.side, 1), reference;
  if (metric.needs_reference()) reference = (image * 0.9 + 0.1 * bench_picture(options.side, 2)).mul(255).round().div(255);
  double value = 0.0;
  std::string other_value;
  const auto call = [&] {
    value = metric.kind == MetricKind::set ? metric.features({image}).mean().item<double>() : metric.score(image, reference);
  };
  // Written before the other program starts, which may read them.
  if (!options.save_pictures.empty()) {
    write_rgb(std::filesystem::path(options.save_pictures) / "image.png", image);
    if (reference.defined()) write_rgb(std::filesystem::path(options.save_pictures) / "reference.png", reference);
  }
  std::vector<Contender> contenders = {{fmt::format("lpnsr {}", metric.name), 1.0, call}};
  std::optional<ChildProcess> other;
  if (!options.against.empty()) {
    other.emplace(options.against);
    contenders.push_back({options.against, 1.0, [&] { other_value = other->ask(); }});
  }
  log_info("metric {} [{}], {}x{} pixels, {} threads", metric.name, metric.protocol, options.side, options.side, options.threads);
  const auto timings = time_in_turn(contenders, options.rounds);
  if (other) log_info("values: {:.6g} here, {} there", value, other_value);
  print_timings("metric:" + metric.name, "picture", timings, options.json);
}

}  // namespace lpnsr
