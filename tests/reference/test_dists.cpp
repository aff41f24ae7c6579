// DISTS with synthetic weights, against goldens/metrics: values, features, gradients.
#include "losses/dists.h"
#include "tests/support/metric_cases.h"

namespace lpnsr {
namespace {

using testing::close;
using testing::load_case;
using testing::shared_salt;
using testing::stage_close;
using testing::synthetic_tensor;

Dists synthetic_dists(const testing::TemporaryFolder& folder) { return Dists(testing::write_dists(folder)); }

TEST(ReferenceDists, ValuesFeaturesAndGradients) {
  LPNSR_REQUIRE_GOLDENS();
  const testing::TemporaryFolder folder;
  auto dists = synthetic_dists(folder);
  const auto reference = load_case("metrics/dists");
  const auto x = synthetic_tensor(shared_salt, "dists/x", {2, 3, 64, 64}, 0.5, 0.5);
  const auto y = 0.5 * x + 0.5 * synthetic_tensor(shared_salt, "dists/y", {2, 3, 64, 64}, 0.5, 0.5);
  EXPECT_TRUE(close(dists(x, y), reference.at("square/value").flatten(), 2e-6, 2e-5));
  EXPECT_TRUE(close(dists(y, x), reference.at("square/value").flatten(), 2e-6, 2e-5));
  for (const std::string name : {"ost_288x200", "hongkong_203x301"}) {
    const auto crop = [](const at::Tensor& picture) { return picture.slice(1, 10, 107).slice(2, 30, 160).unsqueeze(0); };
    const auto distorted = crop(testing::metric_picture(name + "_dist")), truth = crop(testing::metric_picture(name));
    EXPECT_TRUE(close(dists(distorted, truth), reference.at("real/" + name + "/value").flatten(), 2e-6, 2e-5)) << name;
    const auto maps = dists.features(distorted);
    for (size_t k = 1; k < maps.size(); ++k)
      EXPECT_TRUE(stage_close(reference, "real/" + name + "/feature" + std::to_string(k), maps[k], 0, 1e-4)) << name << k;
  }
  const auto relative_error = [&](at::ScalarType type) {
    dists.to(type);
    const auto leaf = x.to(type, false, true).requires_grad_();
    dists(leaf, y.to(type)).sum().backward();
    const auto want = reference.at("square/grad_x").to(at::kDouble);
    return ((leaf.grad() - want).norm() / want.norm()).item<double>();
  };
  EXPECT_LT(relative_error(at::kFloat), 1e-3);
  EXPECT_LT(relative_error(at::kDouble), 1e-6);
}

}  // namespace
}  // namespace lpnsr
