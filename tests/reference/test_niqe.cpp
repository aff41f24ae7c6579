// NIQE with the real pristine parameters, against goldens/metrics and the official values.
#include <fmt/format.h>

#include "eval/niqe.h"
#include "tests/support/metric_cases.h"

namespace lpnsr {
namespace {

using testing::load_case;
using testing::metric_picture;
using testing::stage_close;

NiqePristine pristine() { return read_niqe_pristine(testing::goldens() / "metrics/niqe_pristine.safetensors"); }

NiqeOptions flavour_of(const std::string& key) {
  if (key == "pyiqa_niqe") return {};
  if (key == "pyiqa_niqe_in_pi") return niqe_in_pi();
  return {.flavour = "basicsr", .crop = key.ends_with("crop4") ? 4 : 0};
}

TEST(ReferenceNiqe, EveryPictureAndFlavour) {
  LPNSR_REQUIRE_GOLDENS();
  const auto parameters = pristine();
  const auto reference = load_case("metrics/niqe_values");
  std::vector<double> differences;
  for (const auto& [name, want] : reference.tensors) {
    const size_t slash = name.find('/');
    const double got = niqe(metric_picture(name.substr(0, slash)), parameters, flavour_of(name.substr(slash + 1)));
    EXPECT_NEAR(got, want.item<double>(), 5e-3) << name;
    differences.push_back(std::abs(got - want.item<double>()));
  }
  ASSERT_EQ(differences.size(), 69u);
  std::sort(differences.begin(), differences.end());
  EXPECT_LT(differences[differences.size() / 2], 1e-4);
}

TEST(ReferenceNiqe, Stages) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("metrics/niqe_stages");
  for (const std::string name : {"butterfly_256x256", "hongkong_203x301", "ost_288x200"}) {
    const auto luma = rounded_luma(metric_picture(name), LumaKind::yiq, 0, 96, "NIQE");
    EXPECT_TRUE(at::equal(tensor_of(luma), reference.at(name + "/y_rounded").to(at::kDouble))) << name;
    const Plane whole = part_of(luma, 0, 0, luma.height / 96 * 96, luma.width / 96 * 96);
    EXPECT_TRUE(stage_close(reference, name + "/mscn_scale1", tensor_of(normalised_luminance(whole, {})), 1e-4)) << name;
    const Plane half = resized(whole, whole.height / 2, whole.width / 2, 0.5, 0.5);
    EXPECT_TRUE(stage_close(reference, name + "/half_image", tensor_of(half), 1e-4)) << name;
    EXPECT_TRUE(stage_close(reference, name + "/mscn_scale2", tensor_of(normalised_luminance(half, {})), 1e-4)) << name;
    const auto features = niqe_features(luma, {});
    const auto& want = reference.at(name + "/block_features");
    ASSERT_EQ(features.sizes(), want.sizes());
    for (int64_t column = 0; column < 36; ++column) {
      const int64_t place = column % 18;
      const bool shape = place == 0 || (place - 2) % 4 == 0;
      EXPECT_TRUE(testing::close(features.select(1, column), want.select(1, column), shape ? 2e-3 : 1e-12, shape ? 0.0 : 2e-3))
          << name << " column " << column;
    }
    EXPECT_NEAR(niqe_distance(features, pristine()), reference.at(name + "/niqe").item<double>(), 5e-3) << name;
  }
}

TEST(ReferenceNiqe, OfficialValues) {
  LPNSR_REQUIRE_GOLDENS();
  // pyiqa's column of official_values.csv, made on a GPU.
  const std::vector<std::pair<std::string, double>> official = {
      {"I03", 15.6538}, {"I04", 3.6549}, {"I06", 3.2342}, {"I08", 3.1922}, {"I19", 9.0722}};
  for (const auto& [name, want] : official) EXPECT_NEAR(niqe(metric_picture("cal_" + name + "_dist"), pristine()), want, 5e-3) << name;
}

TEST(ReferenceNiqe, ThreadsDoNotMatter) {
  LPNSR_REQUIRE_GOLDENS();
  const auto picture = metric_picture("canon_480x384");
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const double one = niqe(picture, pristine());
  at::set_num_threads(3);
  EXPECT_EQ(niqe(picture, pristine()), one);
  at::set_num_threads(before);
}

}  // namespace
}  // namespace lpnsr
