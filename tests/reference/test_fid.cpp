// Inception's features with synthetic weights and the Fréchet distance, against goldens/metrics.
#include "eval/fid.h"
#include "tests/support/metric_cases.h"

namespace lpnsr {
namespace {

using testing::close;
using testing::load_case;
using testing::metric_picture;
using testing::shared_salt;
using testing::stage_close;

TEST(ReferenceFid, DistanceOfFeatures) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("metrics/fid_distance");
  for (const auto& [name, sizes] : reference.description.at("config").items()) {
    const int64_t dim = sizes[2];
    const auto draw = [&](const char* which, int64_t count, double scale, double shift) {
      const auto values = testing::synthetic_value(shared_salt, "fid/" + name + "/" + which, count * dim);
      return torch::tensor(values, at::kDouble).view({count, dim}) * scale + shift;
    };
    auto a = draw("a", sizes[0], 1.0, 0.0).to(at::kFloat).to(at::kDouble), b = draw("b", sizes[1], 1.3, 0.2).to(at::kFloat).to(at::kDouble);
    if (name == "identical_sets") b = a;
    if (name == "rank_one") {
      a = a.slice(1, 0, 1) * torch::arange(1, dim + 1, at::kDouble);
      b = b.slice(1, 0, 1) * torch::arange(dim, 0, -1, at::kDouble);
    }
    if (reference.tensors.contains(name + "/mu1")) {
      EXPECT_TRUE(close(a.mean(0), reference.at(name + "/mu1"), 1e-12, 1e-12)) << name;
    }
    const double want = reference.at(name + "/fid_eigenvalues").item<double>();
    const bool full_rank = name == "more_samples_than_dims" || name == "large" || name == "one_dim";
    EXPECT_NEAR(frechet_distance(a, b), want, full_rank ? 1e-9 * std::abs(want) : name == "identical_sets" ? 1e-8 : 1e-6) << name;
  }
}

TEST(ReferenceFid, FeaturesInEveryMode) {
  LPNSR_REQUIRE_GOLDENS();
  const c10::InferenceMode inference;
  const testing::TemporaryFolder folder;
  const auto file = testing::write_published(folder, "pt_inception-2015-12-05-6726825d", [](const std::string&, at::Tensor value) {
    return value.dim() == 4 ? value * std::sqrt(2.0) : value;
  });
  const InceptionV3 network({file}, c10::kCPU);
  const auto reference = load_case("metrics/fid_inception");
  for (const std::string mode : {"clean", "legacy_pytorch", "legacy_tensorflow"}) {
    const FidOptions options{mode};
    std::vector<at::Tensor> rows, ready;
    for (const std::string name : {"butterfly_256x256", "ost_288x200", "hongkong_203x301"}) {
      const auto picture = metric_picture(name);
      const auto resized = fid_resized(picture, options);
      EXPECT_TRUE(stage_close(reference, mode + "/" + name + "/resized_0_255", resized, mode == "clean" ? 1e-2 : 1e-3)) << mode << name;
      ready.push_back((resized - 128) / 128);
      rows.push_back(fid_features(network, resized.unsqueeze(0), options)[0]);
    }
    const auto& want = reference.at(mode + "/features");
    EXPECT_TRUE(close(at::stack(rows), want, 1e-4 * want.abs().max().item<double>(), 0)) << mode;
    if (mode != "clean") continue;
    std::map<std::string, at::Tensor> stages;
    network(at::stack(ready), &stages);
    for (const auto& [stage, value] : stages) EXPECT_TRUE(stage_close(reference, mode + "/" + stage, value, 0, 1e-4)) << stage;
  }
}

}  // namespace
}  // namespace lpnsr
