// The laws of the drawn parameters against goldens/degradation, parameter_statistics (marginals; rejected at about p < 1e-4).
#include <cmath>
#include <functional>
#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "degradation/parameters.h"
#include "tests/support/reference.h"
#include "trainers/experiment.h"

namespace lpnsr {
namespace {

using lpnsr::testing::load_case;

struct Draws {
  std::map<std::string, std::vector<double>> numbers;
  std::map<std::string, std::map<std::string, double>> counts;
  void flag(const std::string& name, bool value) { numbers[name].push_back(value ? 1.0 : 0.0); }
};

void add_kernel(Draws& draws, const std::string& name, const KernelParameters& kernel) {
  draws.counts[name + "_size"][std::to_string(kernel.size)] += 1;
  draws.flag(name + "_is_sinc", kernel.type == "sinc");
  if (kernel.type == "sinc") {
    draws.numbers[name + (kernel.size < 13 ? "_omega_small" : "_omega_large")].push_back(kernel.omega);
    return;
  }
  const bool plain = kernel.type == "iso" || kernel.type == "aniso";
  draws.counts[name + "_type"][(plain ? "gauss_" : "") + kernel.type] += 1;
  draws.numbers[name + "_sigma_x"].push_back(kernel.sigma_x);
  if (kernel.type.ends_with("aniso")) {
    draws.numbers[name + "_sigma_y"].push_back(kernel.sigma_y);
    draws.numbers[name + "_theta"].push_back(kernel.theta);
  } else {
    EXPECT_EQ(kernel.sigma_x, kernel.sigma_y);
  }
  if (!plain) draws.numbers[name + (kernel.type.starts_with("plateau") ? "_beta_plateau" : "_beta_generalized")].push_back(kernel.beta);
}

void add_stage(Draws& draws, const std::string& number, const StageParameters& stage) {
  const double factor = stage.resize_factor;
  const std::string kind = factor > 1 ? "up" : factor < 1 ? "down" : "keep";
  draws.counts["resize" + number + "_kind"][kind] += 1;
  draws.counts["resize" + number + "_mode"][stage.resize_mode] += 1;
  if (kind != "keep") draws.numbers["resize" + number + "_scale_" + kind].push_back(factor);
  const bool gaussian = stage.noise == "gaussian";
  draws.flag("noise" + number + "_is_gaussian", gaussian);
  draws.numbers["noise" + number + (gaussian ? "_sigma" : "_poisson_scale")].push_back(stage.noise_level);
  draws.flag("noise" + number + "_gray", stage.gray_noise);
}

void add_sample(Draws& draws, const DegradationParameters& parameters) {
  add_kernel(draws, "kernel1", parameters.first.kernel);
  add_stage(draws, "1", parameters.first);
  draws.flag("second_order", parameters.second_order);
  if (parameters.second_order) {
    const bool blurred = parameters.second.kernel.type != "none";
    draws.flag("second_blur", blurred);
    if (blurred) add_kernel(draws, "kernel2", parameters.second.kernel);
    add_stage(draws, "2", parameters.second);
  }
  draws.numbers["jpeg1_quality"].push_back(parameters.first.jpeg_quality);
  draws.numbers["jpeg2_quality"].push_back(parameters.second.jpeg_quality);
  const bool sinc = parameters.final_sinc.type == "sinc";
  draws.flag("final_sinc", sinc);
  if (sinc) {
    draws.counts["final_sinc_size"][std::to_string(parameters.final_sinc.size)] += 1;
    draws.numbers["final_sinc_omega"].push_back(parameters.final_sinc.omega);
  }
  draws.counts["resize_final_mode"][parameters.final_resize_mode] += 1;
  draws.flag("final_order_jpeg_last", parameters.final_sinc_before_jpeg);
}

Draws draw_many(const DegradationOptions& options, int runs) {
  Draws draws;
  RandomStream stream(20250);
  for (int run = 0; run < runs; ++run) add_sample(draws, draw_parameters(options, stream));
  return draws;
}

// The marginals alone: batches of one.
Draws draw_many_in_batches(const DegradationOptions& options, int runs) {
  Draws draws;
  RandomStream stream(20251);
  for (int run = 0; run < runs; ++run) add_sample(draws, draw_batch(options, 1, stream).front());
  return draws;
}

// Kolmogorov's distance times sqrt(n): above 2.23 with a probability of 1e-4.
double distance_from_uniform(std::vector<double> values, double a, double b) {
  std::sort(values.begin(), values.end());
  const auto n = static_cast<double>(values.size());
  double distance = 0.0;
  for (size_t i = 0; i < values.size(); ++i) {
    const double law = (values[i] - a) / (b - a);
    distance = std::max({distance, law - static_cast<double>(i) / n, static_cast<double>(i + 1) / n - law});
  }
  return distance * std::sqrt(n);
}

// Wilson and Hilferty's approximation of the quantile 1 - 1e-4.
double chi_squared_limit(double degrees) { return degrees * std::pow(1 - 2 / (9 * degrees) + 3.719 * std::sqrt(2 / (9 * degrees)), 3); }

bool fits_bernoulli(const std::vector<double>& flags, double p) {
  double successes = 0.0;
  for (const double flag : flags) successes += flag;
  const auto n = static_cast<double>(flags.size());
  return std::abs(successes - n * p) <= 3.9 * std::sqrt(n * p * (1 - p));
}

bool fits_categories(const std::map<std::string, double>& counts, const nlohmann::json& law) {
  double total = 0.0, chi = 0.0;
  for (const auto& [value, count] : counts) total += count;
  for (size_t i = 0; i < law.at("values").size(); ++i) {
    const auto& value = law["values"][i];
    const auto found = counts.find(value.is_string() ? value.get<std::string>() : std::to_string(value.get<int>()));
    const double expected = total * law.at("p").at(i).get<double>(), got = found == counts.end() ? 0.0 : found->second;
    chi += (got - expected) * (got - expected) / expected;
  }
  return counts.size() == law["values"].size() && chi <= chi_squared_limit(static_cast<double>(law["values"].size() - 1));
}

bool fits(const Draws& draws, const std::string& name, const nlohmann::json& law) {
  const std::string kind = law.at("law");
  if (kind == "categorical") return fits_categories(draws.counts.at(name), law);
  const auto& values = draws.numbers.at(name);
  if (kind == "bernoulli") return fits_bernoulli(values, law.at("p"));
  if (kind == "uniform") return distance_from_uniform(values, law.at("a"), law.at("b")) <= 2.23;
  // Two uniforms that meet at 1, the first perhaps of no width.
  std::vector<double> lower, upper, flags;
  for (const double value : values) (value <= 1.0 ? lower : upper).push_back(value), flags.push_back(value <= 1.0 ? 1.0 : 0.0);
  const auto& parts = law.at("parts");
  const bool wide = parts[0]["a"] < parts[0]["b"];
  return fits_bernoulli(flags, law.at("p").at(0)) && distance_from_uniform(upper, parts[1]["a"], parts[1]["b"]) <= 2.23 &&
         (!wide || distance_from_uniform(lower, parts[0]["a"], parts[0]["b"]) <= 2.23);
}

// The variables whose law the draws do not follow.
std::set<std::string> misfits(const Draws& draws, const nlohmann::json& table) {
  std::set<std::string> names;
  for (const auto& [name, law] : table.items()) {
    if (!fits(draws, name, law)) names.insert(name);
  }
  return names;
}

// As its experiment file says.
DegradationOptions options_of(const std::string& flavour) {
  return load_experiment(fmt::format("{}/experiments/degradation/{}.toml", LPNSR_SOURCE_DIR, flavour)).degradation;
}

TEST(ReferenceDegradationParameters, FollowTheLawsOfTheOfficialSamplers) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("degradation/parameter_statistics");
  for (const auto& [flavour, table] : reference.description.at("tables").items()) {
    EXPECT_THAT(misfits(draw_many(options_of(flavour), 40000), table), ::testing::IsEmpty()) << flavour;
    EXPECT_THAT(misfits(draw_many_in_batches(options_of(flavour), 40000), table), ::testing::IsEmpty()) << flavour << " by batches";
  }
}

// The test above would notice a few per cent.
TEST(ReferenceDegradationParameters, AProbabilityOffByAFewPerCentIsNoticed) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("degradation/parameter_statistics");
  const auto& table = reference.description.at("tables").at("resshift");
  const auto noticed = [&table](const std::string& variable, const std::function<void(DegradationOptions&)>& change) {
    DegradationOptions options = options_of("resshift");
    change(options);
    EXPECT_THAT(misfits(draw_many(options, 40000), table), ::testing::Contains(variable));
  };
  noticed("second_order", [](auto& o) { o.second_order_prob = 0.52; });
  noticed("second_blur", [](auto& o) { o.second.blur_prob = 0.825; });
  noticed("final_sinc", [](auto& o) { o.final_sinc_prob = 0.82; });
  noticed("kernel1_is_sinc", [](auto& o) { o.first.sinc_prob = 0.11; });
  noticed("kernel1_type", [](auto& o) { o.first.kernel_prob = {0.47, 0.23, 0.12, 0.03, 0.12, 0.03}; });
  noticed("resize1_kind", [](auto& o) { o.first.resize_prob = {0.22, 0.68, 0.1}; });
  noticed("noise1_is_gaussian", [](auto& o) { o.first.gaussian_noise_prob = 0.52; });
  noticed("noise1_gray", [](auto& o) { o.first.gray_noise_prob = 0.42; });
  noticed("jpeg1_quality", [](auto& o) { o.first.jpeg_range = {32.0, 95.0}; });
  noticed("noise1_sigma", [](auto& o) { o.first.noise_range = {1.0, 31.0}; });
}

}  // namespace
}  // namespace lpnsr
