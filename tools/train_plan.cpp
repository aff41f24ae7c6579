#include "tools/train_plan.h"

#include <iostream>

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "core/json_text.h"

namespace lpnsr {
namespace {

std::string gibibytes(int64_t bytes) { return fmt::format("{:.2f} GiB", static_cast<double>(bytes) / (1 << 30)); }

std::string flops(double number) {
  return number < 1e12 ? fmt::format("{:.1f} GFLOP", number / 1e9) : fmt::format("{:.2f} TFLOP", number / 1e12);
}

std::string with_commas(int64_t number) {
  std::string text = std::to_string(number);
  for (auto place = static_cast<int64_t>(text.size()) - 3; place > 0; place -= 3) text.insert(static_cast<size_t>(place), ",");
  return text;
}

nlohmann::ordered_json as_json(const TrainingPlan& plan, const Experiment& experiment, int64_t processes) {
  nlohmann::ordered_json networks = nlohmann::ordered_json::array(), iterations = networks;
  for (const auto& n : plan.networks) {
    networks.push_back({{"name", n.name}, {"parameters", n.parameters}, {"trained", n.trained}, {"weights", n.weights}});
  }
  for (const auto& i : plan.iterations) {
    iterations.push_back({{"updates", i.updates}, {"flops_a_picture", i.flops}, {"activation_bytes_a_picture", i.activation_bytes}});
  }
  const TrainingOptions& training = experiment.training;
  return {{"trainer", experiment.trainer},
          {"networks", networks},
          {"iterations", iterations},
          {"memory_bytes",
           {{"weights", plan.bytes.weights},
            {"gradients", plan.bytes.gradients},
            {"optimizer", plan.bytes.optimizer},
            {"average", plan.bytes.average},
            {"peak", plan.peak_bytes()}}},
          {"pictures", plan.pictures},
          {"epoch_length", plan.epoch_length},
          {"epochs", plan.epochs},
          {"length", training.iterations},
          {"batch_size", training.batch_size},
          {"processes", processes},
          {"pictures_at_a_time", plan.part},
          {"learning_rate", {plan.first_rate, plan.last_rate}},
          {"missing", plan.missing}};
}

void print_text(const TrainingPlan& plan, const Experiment& experiment, int64_t processes) {
  const TrainingOptions& training = experiment.training;
  const auto line = [](const std::string& text) { std::cout << text << "\n"; };
  line("networks");
  for (const auto& n : plan.networks) {
    line(fmt::format("  {:<16} {:>13} parameters  {:<8} {}", n.name, with_commas(n.parameters), n.trained ? "trained," : "frozen,",
                     n.weights));
  }
  line("an iteration");
  for (const auto& i : plan.iterations) {
    line(fmt::format("  that updates {:<20} {:>12} a picture, {:>12} a batch; activations {} a picture", fmt::join(i.updates, " and "),
                     flops(i.flops), flops(i.flops * static_cast<double>(training.batch_size)), gibibytes(i.activation_bytes)));
  }
  line(fmt::format("memory of a process ({}{})", training.precision,
                   training.recompute == "none" ? "" : fmt::format("; recomputed: {}", training.recompute)));
  line(fmt::format("  weights {}, gradients {}, AdamW {}, moving average {}", gibibytes(plan.bytes.weights),
                   gibibytes(plan.bytes.gradients), gibibytes(plan.bytes.optimizer), gibibytes(plan.bytes.average)));
  line(fmt::format("  with the activations of {} picture(s) at a time {}", plan.part, gibibytes(plan.peak_bytes())));
  line("data");
  line(plan.pictures == 0 ? std::string("  pictures are missing") : fmt::format("  {} pictures", with_commas(plan.pictures)));
  line("plan");
  line(fmt::format("  {} iterations of {} pictures, {} process(es), {} part(s) of {}", with_commas(training.iterations),
                   training.batch_size, processes, training.parts, plan.part));
  line(plan.epochs == 0 ? std::string("  epochs: not known without the pictures")
                        : fmt::format("  {} epochs of {} iterations", plan.epochs, with_commas(plan.epoch_length)));
  line(fmt::format("  learning rate {:g} to {:g} ({})", plan.first_rate, plan.last_rate, experiment.optimizer.learning_rate.schedule));
  line(fmt::format("  every {} iterations metrics; every {} a checkpoint, of which {} stay; every {} samples of {} picture(s)",
                   training.log_every, training.checkpoint_every, training.keep_checkpoints, training.sample_every,
                   training.sample_pictures));
  if (!experiment.validation.folders.empty()) {
    line(fmt::format("  every {} iterations validation by {}; the best by {} stays", experiment.validation.every,
                     fmt::join(experiment.validation.metrics, ", "), experiment.validation.best));
  }
  line(fmt::format("  at the end {}.safetensors and report.html", plan.networks.front().name));
  if (plan.missing.empty()) return;
  line("missing");
  for (const auto& what : plan.missing) line("  " + what);
}

}  // namespace

int print_plan(const TrainingPlan& plan, const Experiment& experiment, int64_t processes, bool json) {
  if (json) {
    std::cout << json_text(as_json(plan, experiment, processes), 2) << "\n";
  } else {
    print_text(plan, experiment, processes);
  }
  return plan.missing.empty() ? 0 : 1;
}

}  // namespace lpnsr
