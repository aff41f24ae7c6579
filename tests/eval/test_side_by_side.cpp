#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/image.h"
#include "eval/metrics.h"
#include "eval/paired.h"
#include "eval/side_by_side.h"
#include "tests/support/fixtures.h"

namespace lpnsr {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::TemporaryFolder;

TEST(Paired, BootstrapIntervalCoversTheMean) {
  std::vector<double> values;
  for (int i = 0; i < 200; ++i) values.push_back(std::sin(i) + 3);
  values.push_back(std::nan(""));
  const auto interval = bootstrap_interval(values);
  // The normal approximation: 1.96 deviations of the mean of values with variance 1/2.
  EXPECT_NEAR(interval.high - interval.low, 2 * 1.96 * std::sqrt(0.5 / 200), 0.02);
  EXPECT_LT(interval.low, 3.0);
  EXPECT_GT(interval.high, 3.0);
  EXPECT_EQ(bootstrap_interval(values).low, interval.low);
  EXPECT_TRUE(std::isnan(bootstrap_interval({1.0}).low));
}

TEST(Paired, PValuesByHand) {
  // Of eight sign patterns of 1, 2, 3 only + + + and - - - are as extreme.
  EXPECT_DOUBLE_EQ(paired_p_value({2, 4, 6}, {1, 2, 3}), 2.0 / 8);
  EXPECT_DOUBLE_EQ(paired_p_value({1, 2, 3}, {1, 2, 3}), 1.0);
  EXPECT_DOUBLE_EQ(paired_p_value({2, 1}, {1, 2}), 1.0);
  EXPECT_TRUE(std::isnan(paired_p_value({std::nan("")}, {1})));
  std::vector<double> a, b;
  for (int i = 0; i < 40; ++i) {
    b.push_back(i);
    a.push_back(i + 1 + 0.1 * (i % 3));
  }
  EXPECT_LT(paired_p_value(a, b), 1e-3);
  EXPECT_GT(paired_p_value(a, b), 0.0);
}

TEST(Methods, AreNamed) {
  const auto methods = parse_methods({"ours=some/dir", "other/theirs/"});
  EXPECT_EQ(methods[0].name, "ours");
  EXPECT_EQ(methods[0].folder, "some/dir");
  EXPECT_EQ(methods[1].name, "theirs");
  EXPECT_THROW_MESSAGE(parse_methods({"a/x", "b/x"}), UsageError, HasSubstr("two methods are called 'x'"));
  EXPECT_THROW(parse_methods({"=dir"}), UsageError);
}

class SideBySideTest : public ::testing::Test {
 protected:
  void SetUp() override {
    torch::manual_seed(5);
    for (const std::string name : {"p.png", "q.png", "r.png"}) {
      const auto truth = torch::rand({3, 24, 24});
      save("hr", name, truth);
      save("good", name, truth + 0.01 * torch::randn_like(truth));
      save("fair", name, truth + 0.05 * torch::randn_like(truth));
      save("bad", name, truth + 0.2 * torch::randn_like(truth));
    }
  }
  void save(const std::string& sub, const std::string& name, const at::Tensor& rgb) {
    std::filesystem::create_directories(folder_ / sub);
    write_rgb(folder_ / sub / name, rgb.clamp(0, 1));
  }
  std::vector<MethodFolder> methods() const {
    return {{"good", folder_ / "good"}, {"fair_one", folder_ / "fair"}, {"bad", folder_ / "bad"}};
  }
  TemporaryFolder folder_;
};

TEST_F(SideBySideTest, MarksAndTestsAndFiles) {
  const SideBySide comparison(methods(), folder_ / "hr", make_metrics({"psnr", "ssim:protocol=basicsr"}, {}));
  const auto& scores = comparison.methods();
  ASSERT_EQ(scores.size(), 3u);
  EXPECT_GT(scores[0].evaluation.means()[0], scores[1].evaluation.means()[0]);
  const auto markdown = comparison.markdown();
  EXPECT_THAT(markdown, AllOf(HasSubstr("**"), HasSubstr("<u>"), HasSubstr("lpnsr, Y, crop 4"), HasSubstr("basicsr, Y, crop 4"),
                              HasSubstr("bad − good = -"), HasSubstr("p = 0.2500")));
  const auto latex = comparison.latex();
  EXPECT_THAT(latex, AllOf(HasSubstr("\\textbf{"), HasSubstr("\\underline{"), HasSubstr("fair\\_one"), HasSubstr("$\\uparrow$"),
                           HasSubstr("\\bottomrule"), Not(HasSubstr("["))));
  const auto csv = comparison.csv();
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 1 + 3 * 4);
  EXPECT_THAT(csv, HasSubstr("method,picture,\"psnr [lpnsr, Y, crop 4]\",\"ssim:protocol=basicsr [basicsr, Y, crop 4]\"\n"));
  const auto json = comparison.json();
  EXPECT_EQ(json["methods"].size(), 3u);
  EXPECT_EQ(json["pairs"].size(), 3u);
  EXPECT_EQ(json["pairs"][0]["p"]["psnr"].get<double>(), 0.25);
  EXPECT_EQ(json["methods"][0]["interval95"]["psnr"].size(), 2u);
}

// Pictures that equal their references have an infinite PSNR.
TEST_F(SideBySideTest, InfiniteScoresThatAreEqualDoNotDiffer) {
  for (const std::string copy : {"one", "other"}) std::filesystem::copy(folder_ / "hr", folder_ / copy);
  const std::vector<MethodFolder> truths = {{"one", folder_ / "one"}, {"other", folder_ / "other"}, {"bad", folder_ / "bad"}};
  const SideBySide comparison(truths, folder_ / "hr", make_metrics({"psnr"}, {}));
  EXPECT_THAT(comparison.markdown(),
              AllOf(HasSubstr("other − one = +0.000, p = 1.0000"), HasSubstr("bad − one = -inf, p = -\n"), Not(HasSubstr("nan"))));
  const auto pairs = comparison.json()["pairs"];
  EXPECT_EQ(pairs[0]["difference"]["psnr"], 0.0);
  EXPECT_EQ(pairs[0]["p"]["psnr"], 1.0);
  EXPECT_EQ(pairs[1]["difference"]["psnr"], "inf");
}

TEST_F(SideBySideTest, DifferentPicturesAreRefused) {
  std::filesystem::remove(folder_ / "bad/q.png");
  EXPECT_THROW_MESSAGE(SideBySide(methods(), folder_ / "hr", make_metrics({"psnr"}, {})), Error,
                       AllOf(HasSubstr("bad"), HasSubstr("q.png")));
}

}  // namespace
}  // namespace lpnsr
