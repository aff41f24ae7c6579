// Whole runs of the official chains, each stage from the stored one before it and then end to end: goldens/degradation, chain_*.
#include "degradation/blur.h"
#include "degradation/jpeg.h"
#include "degradation/kernels.h"
#include "degradation/noise.h"
#include "degradation/resample.h"
#include "tests/support/golden_pictures.h"

namespace lpnsr {
namespace {

using lpnsr::testing::close;
using lpnsr::testing::golden_picture;
using lpnsr::testing::load_case;
using lpnsr::testing::mostly_close;
using lpnsr::testing::ReferenceCase;

class ReferenceChain : public ::testing::TestWithParam<std::string> {};

// One sample of a stored run, replayed with its own draws.
class Replay {
 public:
  Replay(const ReferenceCase& reference, int64_t sample)
      : reference_(reference), sample_(sample), flavour_(reference.description.at("flavour")) {
    for (const auto& step : reference.description.at("python_random_in_order")) steps_.emplace_back(step[0], step[1]);
  }

  Planes apply(const nlohmann::json& stage, const Planes& input) {
    const std::string operation = stage.at("op");
    if (operation == "filter") {
      at::Tensor taps = reference_.at(stage.at("kernel"));
      if (taps.dim() == 3) taps = taps[sample_];
      const auto values = taps.to(torch::kFloat64).contiguous();
      const Kernel kernel{values.size(0), {values.data_ptr<double>(), values.data_ptr<double>() + values.numel()}};
      return filter(input, kernel, flavour_ == "lpnsr" ? Border::zero : Border::reflect);
    }
    if (operation == "resize") {
      if (stage.contains("scale_factor")) return resize_by(input, stage["scale_factor"], stage["mode"]);
      return resize_to(input, stage["size"][0], stage["size"][1], stage["mode"]);
    }
    Planes result = input;
    if (operation == "jpeg") {
      clamp01(result);
      return compress_differentiable(result, stage.at("quality").at(static_cast<size_t>(sample_)));
    }
    if (operation == "round8") {
      round_to_8_bits(result);
      return result;
    }
    const bool gaussian = operation == "gaussian";
    const auto [level, gray] = level_and_gray(gaussian);
    const Planes draws = planes_of(draw(gaussian ? "randn" : "poisson", gray));
    if (gaussian) {
      add_gaussian_noise(result, level, draws);
    } else if (flavour_ == "lpnsr") {
      become_counts(result, level, draws);
    } else {
      add_poisson_noise(result, level, photons_of(result, gray), draws);
    }
    ++noises_;
    return result;
  }

 private:
  std::pair<double, bool> level_and_gray(bool gaussian) {
    const bool first = noises_ == 0;
    const double lowest = gaussian ? 1.0 : 0.05, highest = gaussian ? (first ? 30.0 : 25.0) : (first ? 3.0 : 2.5);
    if (flavour_ == "lpnsr") {  // the level follows the choice of the kind; then comes the gray flag
      for (int seen = -1; next_step_ < steps_.size(); ++next_step_) {
        const auto& [what, value] = steps_[next_step_];
        if (what == "choice") seen = 0;
        if (seen >= 0 && what == "uniform") {
          const double level = value.get<double>();
          const bool gray = steps_[next_step_ + 1].second.get<double>() < 0.4;
          next_step_ += 2;
          return {level, gray};
        }
      }
    }
    const auto k = static_cast<size_t>(sample_);
    const auto& rand = reference_.description.at("torch_rand_in_order");
    const double u = rand.at(2 * noises_).at(k), v = rand.at(2 * noises_ + 1).at(k);
    return {lowest + (highest - lowest) * u, v < 0.4};
  }

  // The reference draws gray noise for the batch before colour noise where any sample of it is gray.
  at::Tensor draw(const std::string& kind, bool gray) {
    at::Tensor found;
    for (int64_t i = 0; i < 8; ++i) {
      const auto* candidate = reference_.tensors.find("draw_" + std::to_string(i) + "_" + kind);
      if (candidate == nullptr) continue;
      const int64_t channels = candidate->dim() == 2 ? 1 : candidate->size(1);
      if (channels == (gray ? 1 : 3)) found = candidate->dim() == 2 ? candidate->unsqueeze(0) : (*candidate)[sample_];
    }
    return found;
  }

  const ReferenceCase& reference_;
  int64_t sample_;
  std::string flavour_;
  size_t noises_ = 0, next_step_ = 0;
  std::vector<std::pair<std::string, nlohmann::json>> steps_;
};

TEST_P(ReferenceChain, EachStageAndTheWhole) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("degradation/chain_" + GetParam());
  const auto& inputs = reference.description.at("inputs");
  for (size_t sample = 0; sample < inputs.size(); ++sample) {
    const auto k = static_cast<int64_t>(sample);
    const auto input = golden_picture(inputs.at(sample));
    Replay replay(reference, k), whole(reference, k);
    at::Tensor before = input;
    std::string previous;
    Planes running = planes_of(input);
    for (const auto& stage : reference.description.at("stages")) {
      const std::string operation = stage.at("op");
      const auto want = reference.at("stage_" + std::to_string(stage.at("stage").get<int>()) + "_" + operation)[k];
      const auto got = tensor_of(replay.apply(stage, planes_of(before)));
      const std::string where = GetParam() + " sample " + std::to_string(k) + " " + stage.dump();
      if (operation == "jpeg") {
        // Qualities 55 and then 80 scale the tables by 0.9 and 0.4: every coefficient of 2, 6, 10, … steps of the first lies exactly
        // between two of the second (2.25 k), and the order of a matrix product's additions decides.
        const bool ties = GetParam() == "lpnsr_b" && previous == "jpeg";
        EXPECT_TRUE(mostly_close(got, want, 2e-5, ties ? 0.5 : 0.96)) << where;
        EXPECT_LE((got - want).abs().mean().item<double>(), 1e-3) << where;
      } else if (operation == "poisson") {
        EXPECT_TRUE(mostly_close(got, want, 5e-6, 0.995)) << where;
        EXPECT_LE((got - want).abs().max().item<double>(), 3.0 / 255) << where;
      } else if (operation == "round8") {
        EXPECT_TRUE(mostly_close(got, want, 0, 0.999)) << where;
        EXPECT_LE((got - want).abs().max().item<double>(), 1.001 / 255) << where;
      } else {
        EXPECT_TRUE(close(got, want, 5e-6, 0)) << where;
      }
      before = want;
      previous = operation;
      running = whole.apply(stage, running);
    }
    EXPECT_LE((tensor_of(running) - before).abs().mean().item<double>(), 1e-3) << GetParam() << " sample " << k;
  }
}

INSTANTIATE_TEST_SUITE_P(Runs, ReferenceChain, ::testing::Values("resshift_a", "resshift_b", "resshift_c", "lpnsr_a", "lpnsr_b"),
                         [](const auto& instance) { return instance.param; });

}  // namespace
}  // namespace lpnsr
