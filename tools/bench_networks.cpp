// Full-size networks, restoring and a training step, each beside the same work done by LibTorch's own operators, layout and allocator, as
// the published PyTorch code does it. Every contender is a process of its own: neither allocator nor peak memory is shared. Weights are
// random: no time depends on them.
#include <iostream>
#include <memory>
#include <sys/resource.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/device.h"
#include "core/error.h"
#include "core/log.h"
#include "core/random.h"
#include "diffusion/restorer.h"
#include "tools/bench.h"
#include "tools/child_process.h"
#include "trainers/iteration.h"
#include "trainers/latents.h"
#include "trainers/noise_predictor_trainer.h"

namespace lpnsr {
namespace {

using Work = std::function<void()>;

// How a process works: in a precision, or as the published code does (in float32; LibTorch's operators and its allocator are chosen by the
// environment).
struct Way {
  c10::ScalarType precision;
  bool plain;
};

Way parse_way(const std::string& name) {
  return {name == "plain" ? torch::kFloat : usable_precision(c10::kCPU, parse_precision(name)), name == "plain"};
}

at::Tensor noise(at::IntArrayRef shape, uint64_t seed = 1) {
  return torch::randn(shape, make_generator(seed), at::TensorOptions(torch::kFloat32));
}

template <class Network, class Options>
Network frozen(const Options& options, c10::ScalarType precision) {
  Network network(options);
  freeze(*network, precision);
  return network;
}

constexpr int64_t kLatent = 64, kImage = 256;

Work denoiser_work(const Experiment& experiment, const Way& way) {
  auto network = frozen<SwinUNet>(experiment.system.denoiser, way.precision);
  const int64_t maps = experiment.system.denoiser.noise_channels;
  return [network, x = noise({1, 3, kLatent, kLatent}), lq = noise({1, 3, kLatent, kLatent}, 2),
          more = maps > 0 ? noise({1, maps, kLatent, kLatent}, 3) : at::Tensor()] {
    static_cast<void>(network.ptr()->forward(x, torch::zeros({1}, torch::kInt64), lq, more));
  };
}

Work predictor_work(const Experiment& experiment, const Way& way) {
  auto network = frozen<NoisePredictor>(experiment.system.noise_predictor, way.precision);
  return [network, x = noise({1, 3, kLatent, kLatent}), lq = noise({1, 3, kLatent, kLatent}, 2)] {
    static_cast<void>(network.ptr()->forward(x, x, lq, torch::zeros({1}, torch::kInt64)));
  };
}

Work autoencoder_work(const Experiment& experiment, const Way& way) {
  auto network = frozen<Autoencoder>(experiment.system.autoencoder, way.precision);
  return [network, image = noise({1, 3, kImage, kImage})] { static_cast<void>(network.ptr()->decode(network.ptr()->encode(image))); };
}

Work encoder_work(const Experiment& experiment, const Way& way) {
  auto network = frozen<Autoencoder>(experiment.system.autoencoder, way.precision);
  return [network, image = noise({1, 3, kImage, kImage})] { static_cast<void>(network.ptr()->encode(image)); };
}

Work decoder_work(const Experiment& experiment, const Way& way) {
  auto network = frozen<Autoencoder>(experiment.system.autoencoder, way.precision);
  return [network, latent = noise({1, 3, kLatent, kLatent})] { static_cast<void>(network.ptr()->decode(latent)); };
}

Work swinir_work(const Experiment& experiment, const Way& way) {
  auto network = frozen<SwinIR>(experiment.system.swinir, way.precision);
  return [network, type = way.precision, image = noise({1, 3, kLatent, kLatent})] {
    static_cast<void>(network.ptr()->forward(image.to(type)));
  };
}

// 64x64 to 256x256, from a bicubic start: SwinIR is timed by itself.
Work restore_work(const Experiment& experiment, const Way& way) {
  const auto& system = experiment.system;
  const bool predicts = needs_predictor(system.sampling, make_schedule(system.schedule).steps());
  auto restorer =
      std::make_shared<Restorer>(system, experiment.restore, frozen<SwinUNet>(system.denoiser, way.precision),
                                 predicts ? frozen<NoisePredictor>(system.noise_predictor, way.precision) : NoisePredictor(nullptr),
                                 frozen<Autoencoder>(system.autoencoder, way.precision), bicubic_pre_upsampler(system.autoencoder.scale()));
  return [restorer, picture = torch::rand({3, kLatent, kLatent}, make_generator(1))] { static_cast<void>(restorer->restore(picture)); };
}

// One update of the predictor: chain, decoder, L1, LPIPS and GAN terms, backward pass, clipping and AdamW; batch 1, 256x256. The published
// trainer recomputes the predictor's attention blocks, and encodes the truth though losses on pictures do not need its latent.
Work train_step_work(const Experiment& given, const Way& way) {
  Experiment experiment = given;
  experiment.training.precision = way.precision == c10::kBFloat16 ? "bf16" : "fp32";
  experiment.training.batch_size = 1;
  if (way.plain) experiment.training.recompute = "attention";
  experiment.gan.start_epoch = 1;
  NoisePredictorTrainer::Networks networks;
  networks.denoiser = frozen<SwinUNet>(experiment.system.denoiser, c10::kFloat);
  networks.autoencoder = frozen<Autoencoder>(experiment.system.autoencoder, c10::kFloat);
  networks.predictor = NoisePredictor(experiment.system.noise_predictor);
  Lpips lpips(LpipsNetwork::vgg);
  lpips->eval();
  Autoencoder autoencoder = networks.autoencoder;
  auto trainer = std::make_shared<NoisePredictorTrainer>(experiment, std::move(networks), PerceptualLoss(lpips));
  const auto generator = make_generator(1);
  const Batch batch{.hr = torch::rand({1, 3, kImage, kImage}, generator), .lr = torch::rand({1, 3, kLatent, kLatent}, generator)};
  return [trainer, batch, autoencoder, plain = way.plain]() mutable {
    if (plain) static_cast<void>(latent_of_truth(autoencoder, batch));
    const StepPosition generators_turn{.iteration = 1, .epoch = 2, .learning_rate = 5e-5};
    static_cast<void>(run_iteration(*trainer, batch, generators_turn));
  };
}

struct NetworkPart {
  const char* name;
  const char* unit;
  Work (*work)(const Experiment&, const Way&);
};

constexpr NetworkPart network_parts[] = {
    {"denoiser", "pass", denoiser_work},  {"noise_predictor", "pass", predictor_work}, {"autoencoder", "picture", autoencoder_work},
    {"encoder", "picture", encoder_work}, {"decoder", "picture", decoder_work},        {"swinir", "picture", swinir_work},
    {"restore", "picture", restore_work}, {"train_step", "step", train_step_work},
};

const NetworkPart& part_named(const std::string& name) {
  for (const auto& part : network_parts) {
    if (name == part.name) return part;
  }
  throw UsageError("bench: there is no part '" + name + "'");
}

// `file`: empty for the published configuration.
Experiment experiment_of(const std::string& file) {
  if (!file.empty()) return load_experiment(file);
  Experiment experiment;
  read_config_text(fields_of(experiment), "", "the published configuration", {});
  return experiment;
}

// A process that works once for each line it is sent.
class Worker {
 public:
  Worker(const std::string& part, const std::string& experiment, int64_t threads, const std::string& way)
      : child_(fmt::format("{}exec {} bench {} --serve {} --threads {}{}",
                           way == "plain" ? "LPNSR_KERNELS=off LPNSR_ALLOCATOR=system " : "",
                           quoted(std::filesystem::read_symlink("/proc/self/exe")), part, way, threads,
                           experiment.empty() ? "" : " --experiment " + quoted(experiment))) {}
  void work() { answer_ = child_.ask(); }
  double cpu_seconds() const { return answer_.empty() ? 0.0 : std::stod(answer_); }
  double peak_gib() const { return answer_.empty() ? 0.0 : std::stod(answer_.substr(answer_.find(' '))); }

 private:
  static std::string quoted(const std::filesystem::path& path) {
    std::string text = "'";
    for (const char c : path.string()) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return text + "'";
  }
  ChildProcess child_;
  std::string answer_;
};

// What a restoration is made of: a part by its name, and how often.
struct Piece {
  std::string part;
  int64_t times;
};

std::vector<Piece> pieces_of(const std::string& part, const std::string& experiment) {
  if (part != "restore") return {};
  const auto& system = experiment_of(experiment).system;
  const auto passes = network_passes(system.sampling, make_schedule(system.schedule).steps());
  std::vector<Piece> pieces{{"encoder", 1}, {"denoiser", passes.denoiser}, {"noise_predictor", passes.predictor}, {"decoder", 1}};
  std::erase_if(pieces, [](const Piece& piece) { return piece.times == 0; });
  return pieces;
}

struct Contest {
  std::string text;
  nlohmann::ordered_json json;
};

// Ours in both precisions beside the plain form; a restoration also beside its pieces in float32, each alone.
Contest run_contest(const std::string& name, const std::string& experiment, const BenchOptions& options) {
  std::vector<std::unique_ptr<Worker>> workers;
  std::vector<Contender> contenders;
  const auto add = [&](const std::string& label, const std::string& part, const std::string& way) {
    workers.push_back(std::make_unique<Worker>(part, experiment, options.threads, way));
    auto* worker = workers.back().get();
    contenders.push_back({.name = label,
                          .items = 1,
                          .call = [worker] { worker->work(); },
                          .cpu_seconds = [worker] { return worker->cpu_seconds(); },
                          .peak_gib = [worker] { return worker->peak_gib(); }});
  };
  const auto pieces = pieces_of(name, experiment);
  for (const auto& piece : pieces) add(piece.part, piece.part, "fp32");
  add("lpnsr float32", name, "fp32");
  tell_of_precision(c10::kCPU, c10::kBFloat16);
  add("lpnsr bfloat16", name, "bf16");
  add("plain float32", name, "plain");
  auto timings = time_in_turn(contenders, options.rounds);
  const std::vector<Timing> alone(timings.begin(), timings.begin() + static_cast<std::ptrdiff_t>(pieces.size()));
  timings.erase(timings.begin(), timings.begin() + static_cast<std::ptrdiff_t>(pieces.size()));

  const std::string title = experiment.empty() ? name : name + " of " + experiment, unit = part_named(name).unit;
  Contest contest{timings_text(title, unit, timings), timings_json(title, unit, timings)};
  if (pieces.empty()) return contest;
  contest.text += fmt::format("{:<44} {:>12} {:>12} {:>12}\n", "its parts alone, float32", "times", "ms each", "ms");
  double sum = 0.0;
  for (size_t i = 0; i < pieces.size(); ++i) {
    const auto& [part, times] = pieces[i];
    const double together = static_cast<double>(times) * alone[i].wall;
    sum += together;
    contest.text += fmt::format("  {:<42} {:>12} {:>12.1f} {:>12.1f}\n", part, times, 1e3 * alone[i].wall, 1e3 * together);
    contest.json["parts"].push_back({{"part", part}, {"times", times}, {"wall_s", alone[i].wall}});
  }
  const double share = sum / timings.front().wall;
  contest.text += fmt::format("  {:<42} {:>12} {:>12} {:>12.1f}: {:.0f} % of the whole\n", "together", "", "", 1e3 * sum, 100 * share);
  contest.json["parts_of_the_whole"] = share;
  return contest;
}

}  // namespace

std::vector<std::string> bench_network_names() {
  std::vector<std::string> names;
  for (const auto& part : network_parts) names.emplace_back(part.name);
  return names;
}

void serve_network(const std::string& name, const BenchOptions& options) {
  const bool training = name == "train_step";
  const torch::AutoGradMode gradients(training);
  const Work work =
      part_named(name).work(experiment_of(options.experiments.empty() ? "" : options.experiments.front()), parse_way(options.serve));
  std::cout << "ready" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    work();
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec); };
    std::cout << fmt::format("{} {}", seconds(usage.ru_utime) + seconds(usage.ru_stime), static_cast<double>(usage.ru_maxrss) / (1 << 20))
              << std::endl;
  }
}

void bench_network(const std::string& name, const BenchOptions& options) {
  log_info("{}: full-size networks with random weights, {} threads; plain: LPNSR_KERNELS=off LPNSR_ALLOCATOR=system in float32", name,
           options.threads);
  const auto experiments = options.experiments.empty() ? std::vector<std::string>{""} : options.experiments;
  nlohmann::ordered_json results = nlohmann::ordered_json::array();
  for (const auto& experiment : experiments) {
    const Contest contest = run_contest(name, experiment, options);
    if (options.json) {
      results.push_back(contest.json);
    } else {
      std::cout << contest.text << (experiment == experiments.back() ? "" : "\n") << std::flush;
    }
  }
  if (options.json) std::cout << (results.size() == 1 ? results.front() : results).dump(2) << "\n";
}

}  // namespace lpnsr
