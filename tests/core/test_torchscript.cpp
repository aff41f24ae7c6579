// The weights of TorchScript archives, as OpenAI's CLIP comes in one.
#include <torch/script.h>

#include "core/checkpoint.h"
#include "core/error.h"
#include "tests/support/fixtures.h"

namespace lpnsr {
namespace {

TEST(TorchScript, TensorsOfAllModulesUnderTheirNames) {
  const testing::TemporaryFolder folder;
  torch::jit::Module outer("Outer"), inner("Inner");
  inner.register_parameter("weight", torch::arange(6.0F).view({2, 3}), false);
  inner.register_buffer("count", torch::tensor(7, at::kLong));
  inner.register_attribute("name", c10::StringType::get(), std::string("not a tensor"));
  outer.register_module("inner", inner);
  outer.register_parameter("scale", torch::full({1}, 0.5).to(at::kHalf), false);
  outer.save((folder / "net.pt").string());
  const auto weights = read_weights(folder / "net.pt").tensors;
  EXPECT_EQ(weights.size(), 3u);
  EXPECT_TRUE(weights.at("inner.weight").equal(torch::arange(6.0F).view({2, 3})));
  EXPECT_EQ(weights.at("inner.count").item<int64_t>(), 7);
  EXPECT_EQ(weights.at("scale").scalar_type(), at::kHalf);
}

TEST(TorchScript, WithoutTensorsIsRefused) {
  const testing::TemporaryFolder folder;
  torch::jit::Module("Empty").save((folder / "net.pt").string());
  EXPECT_THROW_MESSAGE(read_weights(folder / "net.pt"), DataError, ::testing::HasSubstr("no tensors"));
}

}  // namespace
}  // namespace lpnsr
