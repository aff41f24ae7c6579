#include "core/autocast.h"
#include "diffusion/checkpointing.h"
#include "tests/support/fixtures.h"

namespace lpnsr::testing {
namespace {

using ::testing::ElementsAre;

TEST(Checkpoint, GivesGradientsToInputsAndParameters) {
  const auto x = torch::tensor({1.0, 2.0}, torch::kFloat64).requires_grad_(),
             w = torch::tensor({3.0, 5.0}, torch::kFloat64).requires_grad_();
  const auto unused = torch::ones({1}).requires_grad_();
  int runs = 0;
  const auto compute = [&](const std::vector<at::Tensor>& inputs) {
    ++runs;
    return inputs[0].square() * w + inputs[1];
  };
  const auto y = checkpoint(compute, {x, torch::ones({2}, torch::kFloat64)}, {w, unused});
  EXPECT_EQ(runs, 1);
  (y * torch::tensor({1.0, 10.0}, torch::kFloat64)).sum().backward();
  EXPECT_EQ(runs, 2);
  EXPECT_TRUE(torch::equal(y.detach(), torch::tensor({4.0, 21.0}, torch::kFloat64)));
  EXPECT_TRUE(torch::equal(x.grad(), torch::tensor({6.0, 200.0}, torch::kFloat64)));
  EXPECT_TRUE(torch::equal(w.grad(), torch::tensor({1.0, 40.0}, torch::kFloat64)));
  EXPECT_FALSE(unused.grad().defined());
}

TEST(Checkpoint, KeepsNothingWhereNoGradientIsWanted) {
  const auto doubled = [](const std::vector<at::Tensor>& inputs) { return inputs[0] * 2.0; };
  EXPECT_FALSE(checkpoint(doubled, {torch::ones({2})}, {}).requires_grad());
  const torch::NoGradGuard no_gradients;
  EXPECT_FALSE(checkpoint(doubled, {torch::ones({2}).requires_grad_()}, {}).requires_grad());
}

TEST(Checkpoint, SecondRunHasTheSamePrecision) {
  std::vector<c10::ScalarType> seen;
  const auto compute = [&](const std::vector<at::Tensor>& inputs) {
    const auto product = inputs[0].matmul(inputs[0]);
    seen.push_back(product.scalar_type());
    return product;
  };
  const auto x = torch::ones({4, 4}).requires_grad_();
  at::Tensor y;
  {
    const AutocastScope bfloat16(torch::kCPU, torch::kBFloat16);
    y = checkpoint(compute, {x}, {});
  }
  y.sum().backward();
  EXPECT_THAT(seen, ElementsAre(torch::kBFloat16, torch::kBFloat16));
  EXPECT_EQ(x.grad().scalar_type(), torch::kFloat32);
}

TEST(Checkpoint, SecondRunDrawsTheSameNumbersAndDisturbsNoOthers) {
  std::vector<at::Tensor> drawn;
  const auto compute = [&](const std::vector<at::Tensor>& inputs) {
    drawn.push_back(torch::rand({5}));
    return inputs[0] * drawn.back();
  };
  const auto x = torch::ones({5}).requires_grad_();
  torch::manual_seed(1);
  const auto y = checkpoint(compute, {x}, {}, /*draws=*/true);
  const auto next = torch::rand({5});
  torch::manual_seed(1);
  torch::rand({5});
  y.sum().backward();
  EXPECT_TRUE(torch::equal(drawn.at(0), drawn.at(1)));
  EXPECT_TRUE(torch::equal(torch::rand({5}), next)) << "the backward pass left the generator elsewhere";
}

}  // namespace
}  // namespace lpnsr::testing
