// NRQM and PI with a synthetic model, against goldens/metrics.
#include "eval/nrqm.h"
#include "eval/steerable_pyramid.h"
#include "tests/support/metric_cases.h"

namespace lpnsr {
namespace {

using testing::close;
using testing::load_case;
using testing::metric_picture;
using testing::stage_close;

NrqmModel model() { return read_nrqm_model(testing::goldens() / "metrics/nrqm_synthetic_model.mat"); }

Plane luma_of(const std::string& name) { return rounded_luma(metric_picture(name), LumaKind::yiq, 0, 45, "NRQM"); }

std::vector<std::string> pictures(const testing::ReferenceCase& reference) {
  std::vector<std::string> names;
  for (const auto& [name, value] : reference.tensors) {
    if (name.ends_with("/dct")) names.push_back(name.substr(0, name.size() - 4));
  }
  return names;
}

TEST(ReferenceNrqm, Features) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("metrics/nrqm_pi");
  for (const auto& name : pictures(reference)) {
    const auto luma = luma_of(name);
    EXPECT_TRUE(close(torch::tensor(nrqm_frequency_features(luma), at::kDouble), reference.at(name + "/dct"), 1e-5, 0)) << name;
    const auto spatial = torch::tensor(nrqm_spatial_features(luma), at::kDouble);
    EXPECT_TRUE(close(spatial.slice(0, 0, 18), reference.at(name + "/gsm").slice(0, 0, 18), 1.5e-3, 0)) << name;
    EXPECT_TRUE(close(spatial.slice(0, 18), reference.at(name + "/gsm").slice(0, 18), 1e-4, 0)) << name;
    EXPECT_TRUE(close(torch::tensor(nrqm_singular_values(luma), at::kDouble), reference.at(name + "/svd"), 0, 1e-6)) << name;
  }
}

TEST(ReferenceNrqm, ForestsOnStoredFeatures) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("metrics/nrqm_pi");
  const auto forests = model().forests;
  const auto names = pictures(reference);
  ASSERT_EQ(names.size(), 9u);
  for (const auto& name : names) {
    for (const auto& [place, group] : {std::pair{0, "/dct"}, {1, "/gsm"}, {2, "/svd"}}) {
      const auto features = reference.at(name + group).contiguous();
      const std::span<const double> values(features.data_ptr<double>(), static_cast<size_t>(features.numel()));
      EXPECT_NEAR(forests[static_cast<size_t>(place)].predict(values), reference.at(name + "/rf_predictions")[place].item<double>(), 1e-9)
          << name << group;
    }
  }
}

TEST(ReferenceNrqm, Scores) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("metrics/nrqm_pi");
  const auto parameters = read_niqe_pristine(testing::goldens() / "metrics/niqe_pristine.safetensors");
  const auto forests = model();
  for (const auto& name : pictures(reference)) {
    const auto picture = metric_picture(name);
    EXPECT_NEAR(nrqm(picture, forests), reference.at(name + "/nrqm").item<double>(), 5e-3) << name;
    EXPECT_NEAR(nrqm(picture, forests, {.luma = "bt601", .crop = 4}), reference.at(name + "/nrqm_in_pi").item<double>(), 5e-3) << name;
    EXPECT_NEAR(perceptual_index(picture, forests, parameters), reference.at(name + "/pi").item<double>(), 5e-3) << name;
  }
}

TEST(ReferenceNrqm, Stages) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("metrics/nrqm_stages");
  const auto luma = luma_of("butterfly_256x256");
  const auto levels = nrqm_pyramid(luma);
  for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(stage_close(reference, "pyramid" + std::to_string(i), tensor_of(levels[i]), 1e-9)) << i;
  const auto pyramid = steerable_pyramid(luma, 2, 6);
  EXPECT_TRUE(stage_close(reference, "highpass", tensor_of(pyramid.high), 0, 1e-4));
  for (size_t level = 0; level < 2; ++level) {
    for (size_t b = 0; b < 6; ++b) {
      const std::string key = "band" + std::to_string(level + 1) + "_" + std::to_string(b) + "_real";
      EXPECT_TRUE(stage_close(reference, key, tensor_of(pyramid.levels[level][b]), 0, 1e-4)) << key;
    }
  }
  const auto bands = nrqm_normalised_bands(pyramid);
  ASSERT_EQ(bands.size(), 12u);
  for (size_t b = 0; b < 12; ++b) {
    EXPECT_TRUE(stage_close(reference, "normalised" + std::to_string(b), tensor_of(bands[b]), 0, 1e-4)) << b;
  }
}

TEST(ReferenceNrqm, ThreadsDoNotMatter) {
  LPNSR_REQUIRE_GOLDENS();
  const auto luma = luma_of("ost_288x200");
  const int before = at::get_num_threads();
  std::vector<std::vector<double>> results;
  for (const int threads : {1, 3}) {
    at::set_num_threads(threads);
    auto all = nrqm_frequency_features(luma);
    for (const auto& more : {nrqm_spatial_features(luma), nrqm_singular_values(luma)}) all.insert(all.end(), more.begin(), more.end());
    results.push_back(all);
  }
  at::set_num_threads(before);
  EXPECT_EQ(results[0], results[1]);
}

}  // namespace
}  // namespace lpnsr
