// PSNR and SSIM of seven pairs in every flavour, against goldens/metrics/psnr_ssim.
#include "core/image.h"
#include "eval/psnr_ssim.h"
#include "tests/support/reference.h"

namespace lpnsr {
namespace {

struct Pair {
  at::Tensor distorted, reference;
};

Pair load_pair(const std::string& name) {
  if (name.starts_with("cal_")) {
    const auto folder = testing::goldens().parent_path() / "data/iqa-calibration";
    const auto with_stem = [&](const std::string& side) {
      for (const auto& entry : std::filesystem::directory_iterator(folder / side)) {
        if (entry.path().stem().string().starts_with(name.substr(4))) return read_image(entry.path()).rgb;
      }
      throw std::runtime_error("no picture of " + name);
    };
    return {with_stem("dist"), with_stem("ref")};
  }
  const auto folder = testing::goldens() / "metrics/images";
  return {read_image(folder / (name + "_dist.png")).rgb, read_image(folder / (name + ".png")).rgb};
}

// PAIR/FLAVOUR_METRIC_cropB_CHANNEL, where pyiqa's channel may be y_ycbcr or y_yiq.
struct Key {
  std::string pair, metric;
  PsnrSsimOptions options;
};

Key parse_key(const std::string& key) {
  const size_t slash = key.find('/');
  std::istringstream parts(key.substr(slash + 1));
  std::string flavour, metric, crop, channel, space;
  std::getline(parts, flavour, '_');
  std::getline(parts, metric, '_');
  std::getline(parts, crop, '_');
  std::getline(parts, channel, '_');
  std::getline(parts, space, '_');
  if (space == "yiq") flavour = "pyiqa_yiq";
  return {key.substr(0, slash), metric, {.protocol = flavour, .channel = channel, .crop = std::stoll(crop.substr(4))}};
}

TEST(ReferencePsnrSsim, EveryFlavour) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = testing::load_case("metrics/psnr_ssim");
  std::map<std::string, Pair> pairs;
  size_t compared = 0;
  for (const auto& [name, want] : reference.tensors) {
    const Key key = parse_key(name);
    if (!pairs.contains(key.pair)) pairs[key.pair] = load_pair(key.pair);
    const auto& pair = pairs[key.pair];
    const bool pyiqa = key.options.protocol.starts_with("pyiqa");
    const double got =
        key.metric == "psnr" ? psnr(pair.distorted, pair.reference, key.options) : ssim(pair.distorted, pair.reference, key.options);
    if (std::isinf(want.item<double>())) {
      EXPECT_EQ(got, want.item<double>()) << name;
    } else {
      EXPECT_NEAR(got, want.item<double>(), key.metric == "ssim" ? 1e-6 : pyiqa ? 2e-3 : 1e-4) << name;
    }
    ++compared;
  }
  EXPECT_EQ(compared, 252u);
}

}  // namespace
}  // namespace lpnsr
