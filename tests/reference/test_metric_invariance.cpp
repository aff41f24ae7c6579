// A metric's value depends on the picture alone: not on what was scored before or with it, nor on the number of threads.
#include <ATen/Parallel.h>

#include "core/error.h"
#include "eval/metrics.h"
#include "eval/psnr_ssim.h"
#include "tests/support/metric_cases.h"

namespace lpnsr::testing {
namespace {

class MetricInvariance : public ::testing::Test {
 protected:
  void TearDown() override { at::set_num_threads(1); }

  // `tolerance` relative, between numbers of threads.
  void expect_invariant(const std::string& name, const std::vector<std::filesystem::path>& files, double tolerance,
                        const std::vector<std::string>& options = {}) {
    const Metric metric = make_metric(find_metric(name), {.set = options, .config = {}, .files = files});
    const auto value = [&](const at::Tensor& picture) {
      if (metric.kind == MetricKind::set) return metric.features({picture});
      const at::Tensor reference = metric.needs_reference() ? (picture * 0.9).mul(255).round().div(255) : at::Tensor();
      return at::scalar_tensor(metric.score(picture, reference), at::kDouble);
    };
    const at::Tensor picture = metric_picture("ost_288x200"), other = metric_picture("hongkong_203x301");
    at::set_num_threads(1);
    const at::Tensor first = value(picture);
    value(other);
    EXPECT_TRUE(value(picture).equal(first)) << name << " depends on what was scored before";
    for (const int threads : {2, 3}) {
      at::set_num_threads(threads);
      const double difference = ((value(picture) - first).abs().max() / first.abs().max()).item<double>();
      EXPECT_LE(difference, tolerance) << name << " on " << threads << " threads";
    }
  }

  // Pictures of two sizes in one list are scored as each is alone, `tolerance` relative: with `batch` at a time, and in the other order.
  void expect_same_in_batches(const std::string& name, const std::vector<std::filesystem::path>& files, double tolerance,
                              const std::vector<std::string>& options = {}) {
    const MetricRequest request{.set = options, .config = {}, .files = files};
    const Metric alone = make_metric(find_metric(name), request);
    const auto whole = metric_picture("ost_288x200");
    Metric::Pictures pictures = {whole.narrow(2, 0, 96).narrow(1, 0, 64), whole.narrow(2, 80, 64).narrow(1, 40, 96),
                                 whole.narrow(2, 100, 96).narrow(1, 90, 64), whole.narrow(2, 4, 96).narrow(1, 128, 64)};
    const auto values = [](const Metric& metric, const Metric::Pictures& images) {
      Metric::Pictures references;
      if (metric.kind == MetricKind::set) return metric.features(images).to(at::kDouble);
      if (metric.needs_reference()) {
        for (const auto& image : images) references.push_back((image * 0.9).mul(255).round().div(255));
      }
      return at::tensor(scores_of(metric, images, references), at::kDouble);
    };
    std::vector<at::Tensor> one_by_one;
    for (const auto& picture : pictures) one_by_one.push_back(values(alone, {picture})[0]);
    auto expected = at::stack(one_by_one);
    for (const int64_t batch : {2, 3}) {
      auto batched_request = request;
      batched_request.batch = batch;
      const Metric batched = make_metric(find_metric(name), batched_request);
      EXPECT_EQ(batched.batch, batch) << name;
      EXPECT_LE(((values(batched, pictures) - expected).abs().max() / expected.abs().max()).item<double>(), tolerance)
          << name << ", " << batch << " at a time";
      std::reverse(pictures.begin(), pictures.end());
      expected = expected.flip(0);
    }
  }

  // What people's folders hold: a value, or a message that tells what is wrong; never an error from inside a network.
  void expect_defined_on_odd_pictures(const std::string& name, const std::vector<std::filesystem::path>& files,
                                      const std::vector<std::string>& options = {}) {
    const Metric metric = make_metric(find_metric(name), {.set = options, .config = {}, .files = files});
    const auto photo = metric_picture("ost_288x200");
    const auto part = [&](int64_t height, int64_t width) { return photo.narrow(1, 40, height).narrow(2, 30, width).contiguous(); };
    const std::vector<std::pair<std::string, at::Tensor>> pictures = {
        {"1x1", part(1, 1)},
        {"7x7", part(7, 7)},
        {"33x16", part(33, 16)},
        {"1x120", part(1, 120)},
        {"95x97", part(95, 97)},
        {"gray", part(95, 97).mean(0, true).expand({3, -1, -1})},
        {"black", at::zeros({3, 64, 64})},
        {"white", at::ones({3, 64, 64})},
    };
    for (const auto& [what, picture] : pictures) {
      try {
        if (metric.kind == MetricKind::set) {
          EXPECT_TRUE(metric.features({picture}).isfinite().all().item<bool>()) << name << " of " << what;
          continue;
        }
        // Beside itself, or beside a darker one.
        for (const double share : {1.0, 0.8}) {
          const double value = metric.score(picture, metric.needs_reference() ? picture * share : at::Tensor());
          EXPECT_TRUE(std::isfinite(value) || (name == "psnr" && value > 0) || (name == "niqe" && what.size() == 5) ||
                      (name == "pi" && what.size() == 5))
              << name << " of " << what << ": " << value;
          if (!metric.needs_reference()) break;
          if (share == 1.0 && !metric.higher_is_better) {
            // DISTS's covariance is a difference of means, as published, whose rounding a map of one pixel holds against 1e-6.
            EXPECT_NEAR(value, 0, name == "dists" ? 1e-3 : 1e-5) << name << " of " << what << " beside itself";
          }
        }
      } catch (const UsageError& error) {
        EXPECT_THAT(error.what(), ::testing::AnyOf(::testing::HasSubstr("pixels"), ::testing::HasSubstr("side"))) << name << " of " << what;
      } catch (const std::exception& error) {
        ADD_FAILURE() << name << " of " << what << ": " << error.what();
      }
    }
  }

  std::filesystem::path published(const std::string& manifest, at::Tensor (*change)(const std::string&, at::Tensor) = nullptr) {
    return write_published(folder_, manifest, change == nullptr ? std::function<at::Tensor(const std::string&, at::Tensor)>() : change);
  }

  TemporaryFolder folder_;
};

TEST_F(MetricInvariance, OfClassicalMetricsToTheBit) {
  LPNSR_REQUIRE_GOLDENS();
  const auto file = [](const std::string& name) { return goldens() / "metrics" / name; };
  for (const std::string name : {"psnr", "ssim"}) {
    for (const auto& protocol : psnr_ssim_protocols()) expect_invariant(name, {}, 0.0, {"protocol=\"" + protocol + "\""});
  }
  expect_invariant("niqe", {file("niqe_pristine.safetensors")}, 0.0);
  expect_invariant("nrqm", {file("nrqm_synthetic_model.mat")}, 0.0);
  expect_invariant("pi", {file("nrqm_synthetic_model.mat"), file("niqe_pristine.safetensors")}, 0.0);
}

// Matrix products and convolutions split their sums by threads.
TEST_F(MetricInvariance, OfNetworksToFloat32sRounding) {
  LPNSR_REQUIRE_GOLDENS();
  expect_invariant("lpips.alex", {published("torchvision_alexnet-owt-7be5be79"), goldens() / "metrics/lpips_lin_alex.safetensors"}, 1e-6);
  expect_invariant("clipiqa", {published("clip_RN50")}, 1e-6);
  expect_invariant("musiq", {published("musiq_koniq_ckpt-e95806b9")}, 1e-6);
  expect_invariant("topiq_nr", {published("cfanet_nr_koniq_res50-9a73138b")}, 1e-6);
  expect_invariant("maniqa", {published("maniqa_koniq_ckpt_koniq10k", maniqa_weight)}, 1e-6, {"crops=1"});
  expect_invariant("fid", {published("pt_inception-2015-12-05-6726825d")}, 1e-6);
}

TEST_F(MetricInvariance, OfNetworksOnSeveralAndOddPictures) {
  LPNSR_REQUIRE_GOLDENS();
  const auto expect = [this](const std::string& name, const std::vector<std::filesystem::path>& files,
                             const std::vector<std::string>& options = {}) {
    expect_same_in_batches(name, files, name == "dists" ? 1e-5 : 1e-6, options);  // one minus a sum near one
    expect_defined_on_odd_pictures(name, files, options);
  };
  const auto lpips = [this](const std::string& name) { return goldens() / fmt::format("metrics/lpips_lin_{}.safetensors", name); };
  expect("lpips.alex", {published("torchvision_alexnet-owt-7be5be79"), lpips("alex")});
  expect("lpips.squeeze", {published("torchvision_squeezenet1_1-b8a52dc0"), lpips("squeeze")});
  expect("lpips.vgg", {published("torchvision_vgg16-397923af"), lpips("vgg")});
  const auto dists = write_dists(folder_);
  expect("dists", dists);
  expect("dists", dists, {"resize=32"});
  expect("clipiqa", {published("clip_RN50")});
  expect("musiq", {published("musiq_koniq_ckpt-e95806b9")});
  expect("topiq_nr", {published("cfanet_nr_koniq_res50-9a73138b")});
  expect("maniqa", {published("maniqa_koniq_ckpt_koniq10k", maniqa_weight)}, {"crops=1"});
  expect("fid", {published("pt_inception-2015-12-05-6726825d")});
}

TEST_F(MetricInvariance, OddPicturesHaveAValueOrAMessage) {
  LPNSR_REQUIRE_GOLDENS();
  const auto nrqm = goldens() / "metrics/nrqm_synthetic_model.mat", pristine = goldens() / "metrics/niqe_pristine.safetensors";
  for (const std::string name : {"psnr", "ssim"}) {
    for (const auto& protocol : psnr_ssim_protocols()) expect_defined_on_odd_pictures(name, {}, {"protocol=\"" + protocol + "\""});
  }
  expect_defined_on_odd_pictures("niqe", {pristine});
  expect_defined_on_odd_pictures("nrqm", {nrqm});
  expect_defined_on_odd_pictures("pi", {nrqm, pristine});
}

}  // namespace
}  // namespace lpnsr::testing
