#include "core/random.h"
#include "tests/support/reference.h"

namespace lpnsr {
namespace {

using ::lpnsr::testing::close;
using ::lpnsr::testing::load_case;

// The draws of one generator in the order of the reference.
TEST(ReferenceRandom, GeneratorDrawsWhatPyTorchDraws) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("diffusion/rng");
  for (const int seed : {0, 7, 12345}) {
    const std::string prefix = std::to_string(seed) + "/";
    const auto agrees = [&](const std::string& name, const at::Tensor& got) {
      const auto [atol, rtol] = reference.tolerance("all");
      EXPECT_TRUE(close(got, reference.at(prefix + name), atol, rtol)) << prefix << name;
    };
    at::Generator generator = make_generator(seed);
    agrees("randn_1x3x16x16", at::randn({1, 3, 16, 16}, generator));
    agrees("randn_15", at::randn({15}, generator));
    agrees("randn_17", at::randn({17}, generator));
    agrees("randn_float64_20", at::randn({20}, generator, at::kDouble));
    agrees("randn_1x3x64x64_first64", at::randn({1, 3, 64, 64}, generator).flatten().slice(0, 0, 64));
    agrees("rand_5", at::rand({5}, generator));
  }
}

}  // namespace
}  // namespace lpnsr
