#include "tools/bench_degradation.h"

#include <atomic>
#include <chrono>
#include <iostream>
#include <thread>

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/torch.h>

#include "core/random.h"
#include "degradation/degrade.h"
#include "degradation/tensor_chain.h"
#include "tools/bench.h"

namespace lpnsr {
namespace {

constexpr int64_t kPictures = 256, kSide = 256, kBatch = 8;  // many small batches: their draws differ in cost

// Structure of every size and a little noise, so that every level occurs, as in photographs.
at::Tensor made_up_pictures() {
  at::Generator generator = make_generator(7);
  at::Tensor pictures = at::full({kPictures, 3, kSide, kSide}, 0.5F);
  for (int64_t side = 2; side <= kSide; side *= 2) {
    const at::Tensor coarse = at::randn({kPictures, 3, side, side}, generator) * (0.25 / std::sqrt(static_cast<double>(side)));
    pictures += at::upsample_bicubic2d(coarse, {kSide, kSide}, false);
  }
  return pictures.clamp(0.0, 1.0);
}

void degrade_all(const at::Tensor& pictures, const std::vector<DegradationParameters>& parameters, int64_t threads) {
  std::atomic<int64_t> next = 0;
  const auto work = [&] {
    for (int64_t i = next++; i < kPictures; i = next++) degrade(pictures[i], parameters[static_cast<size_t>(i)]);
  };
  std::vector<std::thread> team;
  for (int64_t i = 1; i < threads; ++i) team.emplace_back(work);
  work();
  for (auto& member : team) member.join();
}

// Where the time of the chain goes: share of each kind of operation.
void print_profile(const at::Tensor& pictures, const std::vector<DegradationParameters>& parameters) {
  using Clock = std::chrono::steady_clock;
  std::map<std::string, double> seconds;
  double total = 0.0;
  for (int64_t i = 0; i < kPictures; ++i) {
    auto last = Clock::now();
    degrade(pictures[i], parameters[static_cast<size_t>(i)], [&](const std::string& stage, const Planes&) {
      const double taken = std::chrono::duration<double>(Clock::now() - last).count();
      seconds[stage] += taken, total += taken;
      last = Clock::now();
    });
  }
  std::cout << "\nwhere the time goes:\n";
  for (const auto& [stage, taken] : seconds) {
    std::cout << fmt::format("  {:<16} {:>8.3f} ms/picture {:>6.1f} %\n", stage, 1e3 * taken / kPictures, 100 * taken / total);
  }
}

}  // namespace

void bench_degradation(const BenchOptions& options) {
  const at::Tensor pictures = made_up_pictures();
  const DegradationOptions published;
  RandomStream stream(1);
  // As the references draw: sizes, modes and kinds once a batch. All contenders do the same work.
  std::vector<DegradationParameters> in_batches;
  for (int64_t batch = 0; batch < kPictures / kBatch; ++batch) {
    const auto drawn = draw_batch(published, kBatch, stream);
    in_batches.insert(in_batches.end(), drawn.begin(), drawn.end());
  }
  const int64_t threads = options.threads;
  const auto in_tensors = [&](const auto& operation) {
    at::set_num_threads(1);
    for (int64_t first = 0; first < kPictures; first += kBatch) {
      operation(pictures.narrow(0, first, kBatch), std::span(in_batches).subspan(static_cast<size_t>(first), kBatch));
    }
    at::set_num_threads(static_cast<int>(threads));
  };
  std::vector<Contender> contenders;
  contenders.push_back({"planes, 1 thread", kPictures, [&] { degrade_all(pictures, in_batches, 1); }});
  if (threads > 1) {
    contenders.push_back({fmt::format("planes, {} threads", threads), kPictures, [&] { degrade_all(pictures, in_batches, threads); }});
  }
  contenders.push_back({"degrade_batch, 1 thread", kPictures,
                        [&] { in_tensors([](const auto& hr, const auto& samples) { return degrade_batch(hr, samples); }); }});
  contenders.push_back({"plain: as published, 1 thread", kPictures,
                        [&] { in_tensors([](const auto& hr, const auto& samples) { return degrade_as_published(hr, samples); }); }});
  print_timings("degradation", "pictures", time_in_turn(contenders, options.rounds), options.json);
  if (!options.json) print_profile(pictures, in_batches);
}

}  // namespace lpnsr
