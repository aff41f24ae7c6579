// `lpnsr inspect` and `lpnsr convert` as a person runs them.
#include "core/checkpoint.h"
#include "core/state_dict.h"
#include "losses/discriminator.h"
#include "tests/support/fixtures.h"

namespace lpnsr::testing {
namespace {

using ::testing::HasSubstr;

class Convert : public ::testing::Test {
 protected:
  void SetUp() override {
    const Discriminator discriminator{DiscriminatorOptions{}};
    weights_ = state_dict(*discriminator).with_prefix("module.");
    write_safetensors(path("in.safetensors"), weights_);
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  TemporaryFolder folder_;
  StateDict weights_;
};

TEST_F(Convert, InspectTellsTheModule) {
  const ProgramResult result = run_program({"inspect", path("in.safetensors"), "--json"});
  ASSERT_EQ(result.status, 0) << result.err;
  const nlohmann::json report = nlohmann::json::parse(result.out);
  EXPECT_EQ(report["format"], "safetensors");
  EXPECT_EQ(report["stripped_prefix"], "module.");
  EXPECT_EQ(report["tensors"].size(), weights_.size());
  ASSERT_EQ(report["modules"].size(), 1U);
  EXPECT_EQ(report["modules"][0]["module"], "discriminator");
  EXPECT_EQ(report["modules"][0]["fits"], true);
  const ProgramResult text = run_program({"inspect", path("in.safetensors")});
  EXPECT_THAT(text.out, HasSubstr("fits discriminator"));
  EXPECT_THAT(text.out, HasSubstr("model.0.weight_orig"));
}

TEST_F(Convert, InspectTellsWhatIsWrong) {
  StateDict changed = weights_.below("module.");
  changed.add("surplus.weight", torch::full({2}, std::nanf("")));
  changed.add("model.0.bias", torch::zeros({5}));
  write_safetensors(path("changed.safetensors"), changed);
  const ProgramResult result = run_program({"inspect", path("changed.safetensors")});
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.out, HasSubstr("does not fit discriminator: 0 missing, 1 extra, 1 of another shape"));
  EXPECT_THAT(result.out, HasSubstr("NaN in surplus.weight: 2 of 2"));
}

TEST_F(Convert, WritesTheSameTensorsWithoutThePrefix) {
  const ProgramResult result = run_program({"convert", path("in.safetensors"), path("out.safetensors")});
  ASSERT_EQ(result.status, 0) << result.err;
  const WeightsFile out = read_safetensors(path("out.safetensors"));
  ASSERT_EQ(out.tensors.size(), weights_.size());
  for (const auto& [key, value] : out.tensors) EXPECT_TRUE(torch::equal(value, weights_.at("module." + key))) << key;
  EXPECT_EQ(out.metadata.at("format"), "pt");
}

TEST_F(Convert, HalfRoundsAndRefusesOverflow) {
  ASSERT_EQ(run_program({"convert", path("in.safetensors"), path("half.safetensors"), "--half"}).status, 0);
  const WeightsFile half = read_safetensors(path("half.safetensors"));
  for (const auto& [key, value] : half.tensors) EXPECT_TRUE(torch::equal(value, weights_.at("module." + key).to(at::kHalf))) << key;
  StateDict large;
  large.add("big", torch::tensor({1e6F}));
  write_safetensors(path("large.safetensors"), large);
  const ProgramResult refused = run_program({"convert", path("large.safetensors"), path("no.safetensors"), "--half"});
  EXPECT_EQ(refused.status, 1);
  EXPECT_THAT(refused.err, HasSubstr("'big'"));
  EXPECT_FALSE(std::filesystem::exists(path("no.safetensors")));
}

TEST_F(Convert, WrongUsageIsTold) {
  const ProgramResult result = run_program({"convert", path("in.safetensors"), path("out.pth")});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.err, HasSubstr(".safetensors"));
  EXPECT_EQ(run_program({"inspect", path("none.pth")}).status, 1);
}

}  // namespace
}  // namespace lpnsr::testing
