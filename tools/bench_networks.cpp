// Full-size networks, restoring and a training step, each beside the same work done by LibTorch's own operators, layout and allocator, as
// the published PyTorch code does it. Every contender is a process of its own: neither allocator nor peak memory is shared. Weights are
// random: no time depends on them.
#include <iostream>
#include <memory>
#include <sys/resource.h>

#include <fmt/format.h>

#include "core/device.h"
#include "core/error.h"
#include "core/log.h"
#include "core/random.h"
#include "diffusion/restorer.h"
#include "tools/bench.h"
#include "tools/child_process.h"
#include "trainers/iteration.h"
#include "trainers/noise_predictor_trainer.h"

namespace lpnsr {
namespace {

using Work = std::function<void()>;

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

Work denoiser_work(const Experiment& experiment, c10::ScalarType precision) {
  auto network = frozen<SwinUNet>(experiment.system.denoiser, precision);
  return [network, x = noise({1, 3, kLatent, kLatent}), lq = noise({1, 3, kLatent, kLatent}, 2)] {
    static_cast<void>(network.ptr()->forward(x, torch::zeros({1}, torch::kInt64), lq));
  };
}

Work predictor_work(const Experiment& experiment, c10::ScalarType precision) {
  auto network = frozen<NoisePredictor>(experiment.system.noise_predictor, precision);
  return [network, x = noise({1, 3, kLatent, kLatent}), lq = noise({1, 3, kLatent, kLatent}, 2)] {
    static_cast<void>(network.ptr()->forward(x, x, lq, torch::zeros({1}, torch::kInt64)));
  };
}

Work autoencoder_work(const Experiment& experiment, c10::ScalarType precision) {
  auto network = frozen<Autoencoder>(experiment.system.autoencoder, precision);
  return [network, image = noise({1, 3, kImage, kImage})] { static_cast<void>(network.ptr()->decode(network.ptr()->encode(image))); };
}

Work swinir_work(const Experiment& experiment, c10::ScalarType precision) {
  auto network = frozen<SwinIR>(experiment.system.swinir, precision);
  return
      [network, type = precision, image = noise({1, 3, kLatent, kLatent})] { static_cast<void>(network.ptr()->forward(image.to(type))); };
}

// 64x64 to 256x256, from a bicubic start: SwinIR is timed by itself.
Work restore_work(const Experiment& experiment, c10::ScalarType precision) {
  const auto& system = experiment.system;
  const bool predicts = needs_predictor(system.sampling, make_schedule(system.schedule).steps());
  auto restorer =
      std::make_shared<Restorer>(system, experiment.restore, frozen<SwinUNet>(system.denoiser, precision),
                                 predicts ? frozen<NoisePredictor>(system.noise_predictor, precision) : NoisePredictor(nullptr),
                                 frozen<Autoencoder>(system.autoencoder, precision), bicubic_pre_upsampler(system.autoencoder.scale()));
  return [restorer, picture = torch::rand({3, kLatent, kLatent}, make_generator(1))] { static_cast<void>(restorer->restore(picture)); };
}

// One update of the predictor: chain, decoder, L1, LPIPS and GAN terms, backward pass, clipping and AdamW; batch 1, 256x256.
Work train_step_work(const Experiment& given, c10::ScalarType precision) {
  Experiment experiment = given;
  experiment.training.precision = precision == c10::kBFloat16 ? "bf16" : "fp32";
  experiment.training.batch_size = 1;
  experiment.training.recompute_activations = true;
  experiment.gan.start_epoch = 1;
  NoisePredictorTrainer::Networks networks;
  networks.denoiser = frozen<SwinUNet>(experiment.system.denoiser, c10::kFloat);
  networks.autoencoder = frozen<Autoencoder>(experiment.system.autoencoder, c10::kFloat);
  networks.predictor = NoisePredictor(experiment.system.noise_predictor);
  Lpips lpips(LpipsNetwork::vgg);
  lpips->eval();
  auto trainer = std::make_shared<NoisePredictorTrainer>(experiment, std::move(networks), PerceptualLoss(lpips));
  const auto generator = make_generator(1);
  const Batch batch{.hr = torch::rand({1, 3, kImage, kImage}, generator), .lr = torch::rand({1, 3, kLatent, kLatent}, generator)};
  return [trainer, batch] {
    const StepPosition generators_turn{.iteration = 1, .epoch = 2, .learning_rate = 5e-5};
    static_cast<void>(run_iteration(*trainer, batch, generators_turn));
  };
}

struct NetworkPart {
  const char* name;
  const char* unit;
  Work (*work)(const Experiment&, c10::ScalarType);
};

constexpr NetworkPart network_parts[] = {
    {"denoiser", "pass", denoiser_work}, {"noise_predictor", "pass", predictor_work}, {"autoencoder", "picture", autoencoder_work},
    {"swinir", "picture", swinir_work},  {"restore", "picture", restore_work},        {"train_step", "step", train_step_work},
};

const NetworkPart& part_named(const std::string& name) {
  for (const auto& part : network_parts) {
    if (name == part.name) return part;
  }
  throw UsageError("bench: there is no part '" + name + "'");
}

Experiment experiment_of(const BenchOptions& options) {
  if (!options.experiment.empty()) return load_experiment(options.experiment);
  Experiment experiment;
  read_config_text(fields_of(experiment), "", "the published configuration", {});
  return experiment;
}

// A process that works once for each line it is sent.
class Worker {
 public:
  Worker(const std::string& part, const BenchOptions& options, const std::string& precision, bool plain)
      : child_(fmt::format("{}exec {} bench {} --serve {} --threads {}{}", plain ? "LPNSR_KERNELS=off LPNSR_ALLOCATOR=system " : "",
                           quoted(std::filesystem::read_symlink("/proc/self/exe")), part, precision, options.threads,
                           options.experiment.empty() ? "" : " --experiment " + quoted(options.experiment))) {}
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

}  // namespace

std::vector<std::string> bench_network_names() {
  std::vector<std::string> names;
  for (const auto& part : network_parts) names.emplace_back(part.name);
  return names;
}

void serve_network(const std::string& name, const BenchOptions& options) {
  const bool training = name == "train_step";
  const torch::AutoGradMode gradients(training);
  const Work work = part_named(name).work(experiment_of(options), parse_precision(options.serve));
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
  const auto& part = part_named(name);
  log_info("{}: full-size networks with random weights, {} threads; plain: LPNSR_KERNELS=off LPNSR_ALLOCATOR=system in float32", name,
           options.threads);
  std::vector<std::unique_ptr<Worker>> workers;
  std::vector<Contender> contenders;
  const auto add = [&](const std::string& label, const std::string& precision, bool plain) {
    workers.push_back(std::make_unique<Worker>(name, options, precision, plain));
    auto* worker = workers.back().get();
    contenders.push_back({.name = label,
                          .items = 1,
                          .call = [worker] { worker->work(); },
                          .cpu_seconds = [worker] { return worker->cpu_seconds(); },
                          .peak_gib = [worker] { return worker->peak_gib(); }});
  };
  add("lpnsr float32", "fp32", false);
  add("lpnsr bfloat16", "bf16", false);
  add("plain float32", "fp32", true);
  print_timings(name, part.unit, time_in_turn(contenders, options.rounds), options.json);
}

}  // namespace lpnsr
