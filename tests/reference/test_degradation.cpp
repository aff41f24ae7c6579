// Each operation of the degradation chain against goldens/degradation.
#include "degradation/blur.h"
#include "degradation/jpeg.h"
#include "degradation/kernels.h"
#include "degradation/noise.h"
#include "degradation/resample.h"
#include "tests/support/golden_pictures.h"
#include "tests/support/synthetic.h"
#include "trainers/crop.h"

namespace lpnsr {
namespace {

using lpnsr::testing::close;
using lpnsr::testing::golden_picture;
using lpnsr::testing::load_case;
using lpnsr::testing::mostly_close;

Kernel kernel_of(const at::Tensor& taps) {
  const auto values = taps.to(torch::kFloat64).contiguous();
  return {values.size(0), std::vector<double>(values.data_ptr<double>(), values.data_ptr<double>() + values.numel())};
}

KernelParameters kernel_parameters(const nlohmann::json& entry) {
  KernelParameters kernel;
  kernel.type = entry.at("kind");
  kernel.size = entry.at("size");
  kernel.padded_size = entry.value("pad_to", 0);
  kernel.sigma_x = entry.value("sigma_x", 0.0);
  kernel.sigma_y = entry.value("sigma_y", 0.0);
  kernel.theta = entry.value("theta", 0.0);
  if (entry.contains("beta") && entry["beta"].is_number()) kernel.beta = entry["beta"];
  kernel.omega = entry.value("cutoff", 0.0);
  return kernel;
}

TEST(ReferenceDegradation, Kernels) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("degradation/kernels");
  for (const auto& entry : reference.description.at("entries")) {
    const std::string flavour = entry.at("flavour");
    const Kernel kernel = make_kernel(kernel_parameters(entry), flavour == "both" ? "resshift" : flavour);
    const auto got = torch::tensor(kernel.taps, torch::kFloat64).reshape({kernel.size, kernel.size});
    EXPECT_TRUE(close(got, reference.at(entry.at("name")), 1e-12, 0)) << entry;
  }
}

TEST(ReferenceDegradation, Filter) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("degradation/filter2d");
  const auto kernels = reference.at("kernels");
  const double atol = reference.description.at("tolerance").at("atol");
  for (int64_t i = 0; i < 3; ++i) {
    const Planes picture = planes_of(golden_picture(reference.description.at("inputs").at(static_cast<size_t>(i))));
    EXPECT_TRUE(close(tensor_of(filter(picture, kernel_of(kernels[i]), Border::reflect)), reference.at("reflect_per_sample")[i], atol, 0))
        << i;
    EXPECT_TRUE(close(tensor_of(filter(picture, kernel_of(kernels[0]), Border::zero)), reference.at("zero_single_lpnsr")[i], atol, 0)) << i;
    const bool first =
        close(tensor_of(filter(picture, kernel_of(kernels[0]), Border::reflect)), reference.at("reflect_single")[i], atol, 0);
    const bool sinc =
        close(tensor_of(filter(picture, kernel_of(reference.at("sinc")[0]), Border::reflect)), reference.at("reflect_single")[i], atol, 0);
    EXPECT_TRUE(first || sinc) << i;
  }
}

TEST(ReferenceDegradation, Sharpen) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("degradation/usm");
  for (int64_t i = 0; i < 2; ++i) {
    const Planes picture = planes_of(golden_picture(reference.description.at("inputs").at(static_cast<size_t>(i))));
    EXPECT_TRUE(close(tensor_of(sharpen(picture)), reference.at("out")[i], 1e-4, 0)) << i;
  }
}

TEST(ReferenceDegradation, Resize) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("degradation/resize");
  const Planes picture = planes_of(golden_picture(reference.description.at("inputs")));
  for (const auto& entry : reference.description.at("entries")) {
    const std::string mode = entry.at("mode");
    const Planes got = entry.contains("scale_factor") ? resize_by(picture, entry["scale_factor"], mode)
                                                      : resize_to(picture, entry["size"][0], entry["size"][1], mode);
    EXPECT_TRUE(close(tensor_of(got), reference.at(entry.at("name")), 1e-5, 0)) << entry;
  }
}

TEST(ReferenceDegradation, RoundingTo8Bits) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("degradation/round8");
  const auto rounded = [](const at::Tensor& values) {
    Planes planes = planes_of(values);
    round_to_8_bits(planes);
    return tensor_of(planes);
  };
  const auto picture = lpnsr::testing::synthetic_tensor("shared", "round_input", {3, 40, 40}, 0.6, 0.5);
  EXPECT_TRUE(torch::equal(rounded(picture), reference.at("out")));
  EXPECT_TRUE(torch::equal(rounded(reference.at("ties_in").reshape({1, 1, 256})).flatten(), reference.at("ties_out")));
}

TEST(ReferenceDegradation, DifferentiableJpeg) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("degradation/diffjpeg");
  const auto expect_case = [](const Planes& got, const at::Tensor& want, double quality) {
    EXPECT_TRUE(mostly_close(tensor_of(got), want, 2e-5, 0.98)) << quality;
    EXPECT_LE((tensor_of(got) - want).abs().mean().item<double>(), 2e-4) << quality;
  };
  const auto& inputs = reference.description.at("inputs");
  for (size_t i = 0; i < 4; ++i) {
    const double quality = inputs.at("batch_quality").at(i);
    expect_case(compress_differentiable(planes_of(golden_picture(inputs.at("batch").at(i))), quality),
                reference.at("batch_hard_out")[static_cast<int64_t>(i)], quality);
    const auto odd = inputs.at("odd").is_array() ? inputs.at("odd").at(0) : inputs.at("odd");
    expect_case(compress_differentiable(planes_of(golden_picture(odd)), quality),
                reference.at("odd_hard_q" + std::to_string(static_cast<int>(quality)))[0], quality);
  }
}

TEST(ReferenceDegradation, GaussianNoiseOfGivenDraws) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("degradation/noise");
  const auto& given = reference.description.at("gaussian");
  for (int64_t i = 0; i < 3; ++i) {
    const auto k = static_cast<size_t>(i);
    const auto noisy = [&](double sigma, const at::Tensor& normals) {
      Planes picture = planes_of(reference.at("in")[i]);
      add_gaussian_noise(picture, sigma, planes_of(normals));
      return tensor_of(picture);
    };
    const bool gray = given.at("gray").at(k).get<double>() != 0.0;
    const auto normals = gray ? reference.at("g_gray_draw").unsqueeze(0) : reference.at("g_color_draw")[i];
    EXPECT_TRUE(close(noisy(given.at("sigma").at(k), normals), reference.at("g_out")[i], 1e-6, 0)) << i;
    EXPECT_TRUE(close(noisy(given.at("lpnsr_sigma"), reference.at("g_lpnsr_gray_draw")[i]), reference.at("g_lpnsr_gray_out")[i], 1e-6, 0))
        << i;
  }
}

TEST(ReferenceDegradation, PoissonNoiseOfGivenCounts) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("degradation/noise");
  const auto& given = reference.description.at("poisson");
  for (int64_t i = 0; i < 3; ++i) {
    const auto k = static_cast<size_t>(i);
    const bool gray = given.at("gray").at(k).get<double>() != 0.0;
    const std::string prefix = gray ? "p_gray" : "p_color";
    Planes picture = planes_of(reference.at("in")[i]);
    const Photons photons = photons_of(picture, gray);
    const auto levels =
        torch::from_blob(const_cast<uint8_t*>(photons.levels.data()), {photons.channels, photons.height, photons.width}, torch::kByte);
    EXPECT_TRUE(close(levels.to(torch::kFloat) / 255.0 * photons.at_white, reference.at(prefix + "_rate")[i], 1e-4, 0)) << prefix << i;
    add_poisson_noise(picture, given.at("scale").at(k), photons, planes_of(reference.at(prefix + "_count")[i]));
    EXPECT_TRUE(close(tensor_of(picture), reference.at("p_out")[i], 1e-6, 0)) << prefix << i;
    for (const std::string kind : {"p_lpnsr_color", "p_lpnsr_gray"}) {
      Planes released = planes_of(reference.at("in")[i]);
      become_counts(released, given.at("lpnsr_scale"), planes_of(reference.at(kind + "_count")[i]));
      EXPECT_TRUE(close(tensor_of(released), reference.at(kind + "_out")[i], 1e-6, 0)) << kind << i;
    }
  }
}

// Noise [channels, n] of a picture of one level against its law: 5 standard errors of the mean and of the variance.
void expect_law(const at::Tensor& noise, double deviation, double kurtosis, double correlation, const nlohmann::json& entry) {
  const auto values = noise.to(torch::kDouble);
  // Gray noise is one draw for all channels.
  const auto n = static_cast<double>(correlation > 0.5 ? values.size(1) : values.numel());
  EXPECT_LE(std::abs(values.mean().item<double>()), 5.0 * deviation / std::sqrt(n)) << entry;
  EXPECT_LE(std::abs(values.square().mean().item<double>() / (deviation * deviation) - 1.0), 5.0 * std::sqrt((kurtosis - 1.0) / n))
      << entry;
  EXPECT_NEAR((values[0] * values[1]).mean().item<double>() / (deviation * deviation), correlation, 0.01) << entry;
}

TEST(ReferenceDegradation, NoiseHasThePublishedStatistics) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("degradation/noise");
  const int64_t side = 632;  // a little under the reference's 400,000 pixels
  RandomStream stream(1);
  RandomField field(1);
  for (const auto& entry : reference.description.at("statistics")) {
    const auto level = entry.at("level").get<int64_t>();
    const bool gray = entry.at("gray").get<double>() != 0.0;
    const int64_t channels = gray ? 1 : 3;
    const double x = static_cast<double>(level) / 255.0, wanted = entry.at("expected_std");
    const auto every_channel = [&](const Planes& drawn) {
      return tensor_of(drawn).expand({3, side, side}).reshape({3, -1}).to(torch::kDouble);
    };
    if (entry.at("kind") == "gaussian") {
      const double sigma = entry.at("sigma");
      expect_law(every_channel(draw_normals(channels, side, side, field)) * (sigma / 255.0), wanted, 3.0, gray ? 1.0 : 0.0, entry);
    } else if (entry.at("flavour") == "lpnsr") {
      const double scale = entry.at("scale"), rate = 255.0 * scale * x;
      Planes rates(3, side, side);
      std::fill(rates.values.begin(), rates.values.end(), static_cast<float>(rate));
      expect_law(every_channel(draw_counts(rates, stream)) / (255.0 * scale) - x, wanted, 3.0 + 1.0 / rate, 0.0, entry);
    } else {
      Photons photons{channels, side, side, Buffer<uint8_t>(static_cast<size_t>(channels * side * side)), entry.at("vals")};
      std::fill(photons.levels.begin(), photons.levels.end(), static_cast<uint8_t>(level));
      const double unit = static_cast<double>(photons.at_white), rate = unit * x;
      const auto noise = (every_channel(draw_counts(photons, field)) / unit - x) * entry.at("scale").get<double>();
      expect_law(noise, wanted, 3.0 + 1.0 / rate, gray ? 1.0 : 0.0, entry);
    }
  }
}

Picture picture_of(const at::Tensor& source) {
  const auto levels = (source * 255).round().to(torch::kByte).contiguous();
  return {source.size(1), source.size(2), {levels.data_ptr<uint8_t>(), levels.data_ptr<uint8_t>() + levels.numel()}, {}};
}

TEST(ReferenceDegradation, CropsAndTurns) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("degradation/crop_augment");
  for (const auto& entry : reference.description.at("entries")) {
    const std::string name = entry.at("name");
    const Picture picture = picture_of(golden_picture(entry.at("source")));
    CropParameters crop;
    crop.top = entry.at("top"), crop.left = entry.at("left");
    if (entry.at("flavour") == "lpnsr") {
      crop.size = crop.side = entry.at("crop");
      crop.flip = entry.at("hflip"), crop.quarter_turns = entry.at("rot90_ccw_times");
      crop.top -= std::max<int64_t>(0, crop.side - picture.height) / 2;  // told from the mirrored picture's corner
      crop.left -= std::max<int64_t>(0, crop.side - picture.width) / 2;
    } else {
      crop.size = entry.at("gt_size"), crop.side = entry.at("square");
    }
    auto got = torch::empty({3, crop.size, crop.size});
    crop_into(picture, crop, got.data_ptr<float>());
    if (entry.at("flavour") == "lpnsr") {
      EXPECT_TRUE(torch::equal((got * 255).round().to(torch::kByte).permute({1, 2, 0}), reference.at(name))) << name;
    } else {
      EXPECT_TRUE(close(got, reference.at(name), 2e-6, 0)) << name;
    }
  }
}

}  // namespace
}  // namespace lpnsr
