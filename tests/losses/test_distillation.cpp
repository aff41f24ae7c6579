// The properties of RSD's losses that docs/rsd.md derives, in float64.
#include "losses/distillation.h"
#include "tests/support/fixtures.h"

namespace lpnsr {
namespace {

at::Tensor maps(uint64_t seed) {
  torch::manual_seed(seed);
  return torch::randn({3, 2, 4, 5}, torch::kFloat64);
}

// Stand-ins for the two networks on z_t = a z0 + noise: smooth, not linear, with weights.
struct Denoisers {
  at::Tensor weight = maps(1).requires_grad_(true), other = maps(2), noise = maps(3);
  at::Tensor fake(const at::Tensor& z0) const { return (weight * (0.7 * z0 + noise)).sin(); }
  at::Tensor teacher(const at::Tensor& z0) const { return (other * (0.7 * z0 + noise)).tanh(); }
};

constexpr double kValues = 2 * 4 * 5;

TEST(RsdLoss, IsTheDifferenceOfTheSquaredErrors) {
  const at::Tensor z0 = maps(4), teacher = maps(5), fake = maps(6);
  EXPECT_TRUE(at::allclose(rsd_loss(teacher, fake, z0), squared_error(teacher, z0) - squared_error(fake, z0), 0, 1e-14));
}

TEST(RsdLoss, VanishesWhereTheFakeNetworkEqualsTheTeacher) {
  const at::Tensor z0 = maps(4).requires_grad_(true);
  const Denoisers networks;
  const at::Tensor both = networks.teacher(z0), loss = rsd_loss(both, both, z0);
  EXPECT_EQ(loss.abs().max().item<double>(), 0.0);
  EXPECT_EQ(torch::autograd::grad({loss.sum()}, {z0})[0].abs().max().item<double>(), 0.0);
}

TEST(RsdLoss, WithoutGradientsThroughTheNetworksIsVariationalScoreDistillation) {
  const at::Tensor z0 = maps(4).requires_grad_(true);
  const Denoisers networks;
  const at::Tensor teacher = networks.teacher(z0).detach(), fake = networks.fake(z0).detach();
  const at::Tensor gradient = torch::autograd::grad({rsd_loss(teacher, fake, z0).sum()}, {z0})[0];
  EXPECT_TRUE(at::allclose(gradient, 2 * (fake - teacher) / kValues, 0, 1e-16));
}

TEST(RsdLoss, FullGradientAgreesWithDifferencesAndIsAnother) {
  const Denoisers networks;
  const at::Tensor z0 = maps(4).requires_grad_(true);
  const auto loss = [&](const at::Tensor& at_z0) { return rsd_loss(networks.teacher(at_z0), networks.fake(at_z0), at_z0).sum(); };
  const at::Tensor gradient = torch::autograd::grad({loss(z0)}, {z0})[0], direction = maps(7);
  constexpr double step = 1e-6;
  const torch::NoGradGuard no_grad;
  const double along = (loss(z0 + step * direction) - loss(z0 - step * direction)).item<double>() / (2 * step);
  EXPECT_NEAR((gradient * direction).sum().item<double>(), along, 1e-8 * std::abs(along));
  const at::Tensor vsd = 2 * (networks.fake(z0) - networks.teacher(z0)) / kValues;
  EXPECT_GT(((gradient - vsd).norm() / vsd.norm()).item<double>(), 0.1);
}

// The game of Eq. 6: what lowers the fake network's own loss raises the student's.
TEST(RsdLoss, AtAFixedPredictionTheFakeNetworkMovesItTheOtherWay) {
  const Denoisers networks;
  const at::Tensor z0 = maps(4), fake = networks.fake(z0), teacher = networks.teacher(z0);
  const auto gradient = [&](const at::Tensor& loss) {
    return torch::autograd::grad({loss.sum()}, {networks.weight}, {}, /*retain_graph=*/true)[0];
  };
  const at::Tensor sum = gradient(squared_error(fake, z0)) + gradient(rsd_loss(teacher, fake, z0));
  EXPECT_LT(sum.abs().max().item<double>(), 1e-15);
}

TEST(RsdLoss, WithTheBestFakeNetworkIsItsDistanceToTheTeacher) {
  const at::Tensor teacher = maps(5), fake = maps(6);
  EXPECT_TRUE(at::allclose(rsd_loss(teacher, fake, /*z0=*/fake), squared_error(teacher, fake), 0, 1e-14));
}

TEST(SidNormaliser, HasNoGradientAndIsNeverZero) {
  const at::Tensor z0 = maps(4).requires_grad_(true), teacher = maps(5).requires_grad_(true);
  EXPECT_FALSE(sid_normaliser(teacher, z0).requires_grad());
  EXPECT_TRUE(at::allclose(sid_normaliser(teacher, z0), (teacher - z0).abs().mean({1, 2, 3}) + 1e-8));
  EXPECT_EQ(sid_normaliser(z0, z0)[0].item<double>(), 1e-8);
}

}  // namespace
}  // namespace lpnsr
