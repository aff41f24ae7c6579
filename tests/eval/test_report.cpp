#include "core/error.h"
#include "core/files.h"
#include "core/image.h"
#include "eval/comparison.h"
#include "eval/html_report.h"
#include "eval/html_text.h"
#include "eval/psnr_ssim.h"
#include "eval/run_report.h"
#include "tests/support/fixtures.h"

namespace lpnsr {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::TemporaryFolder;
using testing::write_text;

size_t count_of(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

TEST(HtmlText, Base64AndEscapes) {
  // RFC 4648, section 10.
  const std::vector<std::pair<std::string, std::string>> vectors = {
      {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, coded] : vectors) EXPECT_EQ(base64(plain), coded);
  EXPECT_EQ(base64("\xff\xfe"), "//4=");
  EXPECT_EQ(escape_html("<a href=\"x\">&'"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
}

TEST(HtmlReport, IsSelfContained) {
  HtmlReport report("A < B");
  report.heading("Scores");
  report.table("method", {{"PSNR", true, 2}}, {{"ours", {{28.0, 0.1}}}, {"<theirs>", {{27.0}}}});
  report.image("noise", torch::rand({3, 5, 7}));
  report.image_row("pictures", {{"LR", torch::rand({3, 4, 4})}, {"HR", torch::rand({3, 4, 4})}});
  report.chart("loss", {{"l1", {0, 1, 2}, {3, 2, 1}}});
  const auto html = report.html();
  EXPECT_THAT(html, AllOf(HasSubstr("<title>A &lt; B</title>"), HasSubstr("<strong>28.00 ± 0.10</strong>"), HasSubstr("&lt;theirs&gt;"),
                          HasSubstr("<svg"), Not(HasSubstr("http://")), Not(HasSubstr("https://")), Not(HasSubstr("<script"))));
  EXPECT_EQ(count_of(html, "src=\"data:image/png;base64,iVBOR"), 3u);
}

TEST(LineChart, PlacesPointsOnItsAxes) {
  const auto svg = line_chart("t", {{"s", {0, 100}, {1, 100}}}, {.log_y = true});
  EXPECT_THAT(svg, AllOf(HasSubstr("log scale"), HasSubstr(">10<"), HasSubstr(">100<")));
  EXPECT_THAT(line_chart("t", {{"s", {0, 1, 2}, {1, std::nan(""), 3}}}), Not(HasSubstr("nan")));
  EXPECT_THAT(line_chart("t", {{"s", {0, 1}, {-1, 0}}}, {.log_y = true}), HasSubstr("no values"));
  EXPECT_THAT(line_chart("t", {{"flat", {0, 1}, {2, 2}}}), Not(HasSubstr("nan")));
  EXPECT_EQ(count_of(line_chart("t", {{"first", {0, 1}, {1, 2}}, {"second", {0, 1}, {2, 1}}}), "<polyline"), 2u);
}

TEST(LineChart, TicksAreRound) {
  EXPECT_THAT(axis_ticks(0, 10, false), ElementsAre(0, 2, 4, 6, 8, 10));
  EXPECT_THAT(axis_ticks(0.01, 10, true), ElementsAre(::testing::DoubleEq(0.01), ::testing::DoubleNear(0.1, 1e-12), 1, 10));
  const auto thin = thinned({"s", std::vector<double>(1000, 1.0), std::vector<double>(1000, 2.0)}, 100);
  EXPECT_EQ(thin.x.size(), 100u);
  EXPECT_DOUBLE_EQ(thin.y[57], 2.0);
}

TEST(RunReport, ShowsCurvesSamplesAndConfiguration) {
  const TemporaryFolder run;
  write_text(run / "config.toml", "steps = 4 # <four>\n");
  write_text(
      run / "metrics.jsonl",
      "{\"step\":1,\"loss/l1\":0.5,\"loss/lpips\":null,\"rate\":1e-4}\n{\"step\":2,\"loss/l1\":0.25,\"loss/lpips\":0.7}\n{\"step\":3,\"lo");
  std::filesystem::create_directories(run / "samples");
  for (const int step : {5, 10, 100}) write_rgb(run / "samples" / ("val-a-" + std::to_string(step) + ".png"), torch::rand({3, 4, 4}));
  const auto curves = read_metrics(run.path());
  ASSERT_EQ(curves.size(), 3u);
  EXPECT_EQ(curves[0].name, "loss/l1");
  EXPECT_THAT(curves[0].y, ElementsAre(0.5, 0.25));
  EXPECT_THAT(curves[1].x, ElementsAre(2));
  const auto path = write_run_report(run.path());
  EXPECT_EQ(path, run / "report.html");
  const auto html = read_file(path);
  EXPECT_THAT(html, AllOf(HasSubstr("loss/lpips"), HasSubstr("val-a, step 100"), HasSubstr("&lt;four&gt;")));
  EXPECT_EQ(count_of(html, "<svg"), 2u);  // loss and rate
  EXPECT_LT(html.find("val-a, step 5"), html.find("val-a, step 100"));
  EXPECT_THROW_MESSAGE(write_run_report(TemporaryFolder().path() / "none"), UsageError, HasSubstr("no such run folder"));
  EXPECT_THROW_MESSAGE(write_run_report(run / "samples"), UsageError, HasSubstr("not a run folder"));
}

class ComparisonTest : public ::testing::Test {
 protected:
  void SetUp() override {
    torch::manual_seed(3);
    for (const std::string name : {"p.png", "q.png"}) {
      const auto truth = torch::rand({3, 32, 32});
      save("hr", name, truth);
      save("lr", name, torch::adaptive_avg_pool2d(truth, {8, 8}));
      save("good/seed1", name, truth + 0.02 * torch::randn_like(truth));
      save("good/seed2", name, truth + 0.03 * torch::randn_like(truth));
      save("bad", name, truth + 0.2 * torch::randn_like(truth));
      save("noise", name.substr(0, 1) + "-t4.png", torch::rand({3, 8, 8}));
    }
    write_text(folder_ / "run/metrics.jsonl", "{\"step\":1,\"loss\":2.0}\n{\"step\":2,\"loss\":1.0}\n");
    write_text(
        folder_ / "compare.toml",
        "title = \"Test\"\nnames = [\"good\", \"bad\"]\nfolders = [\"good/seed*\", \"bad\"]\nreference = \"hr\"\nlow_resolution = \"lr\"\n"
        "noise_names = [\"noise\"]\nnoise_folders = [\"noise\"]\nrun_names = [\"tiny\"]\nruns = [\"run\"]\n");
  }
  void save(const std::string& sub, const std::string& name, const at::Tensor& rgb) {
    std::filesystem::create_directories(folder_ / sub);
    write_rgb(folder_ / sub / name, rgb.clamp(0, 1));
  }
  Comparison compared(const ComparisonOptions& options) { return compare(options, folder_ / "weights", c10::kCPU); }
  TemporaryFolder folder_;
};

TEST_F(ComparisonTest, MeansAndSpreadOverSeeds) {
  const auto options = read_comparison(folder_ / "compare.toml");
  const auto comparison = compared(options);
  ASSERT_EQ(comparison.metrics.size(), 2u);  // no LPIPS weights
  ASSERT_EQ(comparison.methods[0].seeds.size(), 2u);
  std::vector<double> means;
  for (const std::string seed : {"good/seed1", "good/seed2"}) {
    double mean = 0;
    for (const std::string name : {"p.png", "q.png"})
      mean += psnr(read_image(folder_ / seed / name).rgb, read_image(folder_ / "hr" / name).rgb) / 2;
    means.push_back(mean);
  }
  const auto rows = comparison.rows();
  EXPECT_NEAR(rows[0].cells[0].mean, (means[0] + means[1]) / 2, 1e-9);
  EXPECT_NEAR(rows[0].cells[0].spread, std::abs(means[0] - means[1]) / std::sqrt(2.0), 1e-9);
  EXPECT_TRUE(std::isnan(rows[1].cells[0].spread));
  EXPECT_GT(rows[0].cells[0].mean, rows[1].cells[0].mean);

  write_comparison(comparison, options, folder_ / "out");
  EXPECT_THAT(read_file(folder_ / "out/table.md"),
              AllOf(HasSubstr("# Test"), HasSubstr("lpnsr, Y, crop 4"), HasSubstr(" ± "), HasSubstr("**")));
  EXPECT_EQ(count_of(read_file(folder_ / "out/scores.csv"), "\n"), 7u);  // 3 folders of 2 pictures and the header
  const auto html = read_file(folder_ / "out/report.html");
  EXPECT_THAT(html, AllOf(HasSubstr("LR (bicubic)"), HasSubstr("HR"), HasSubstr("noise: p"), HasSubstr("t4"), HasSubstr("<svg")));
  EXPECT_EQ(count_of(html, "<img"), 2u * 4 + 2);
}

TEST_F(ComparisonTest, BracketsInNamesAreNoPattern) {
  std::filesystem::create_directories(folder_ / "at [x4]");
  for (const std::string name : {"good", "bad", "hr", "lr", "noise", "run", "compare.toml"})
    std::filesystem::rename(folder_ / name, folder_ / "at [x4]" / name);
  const auto file = folder_ / "at [x4]/compare.toml";
  EXPECT_EQ(compared(read_comparison(file)).methods[0].seeds.size(), 2u);
  EXPECT_EQ(compared(read_comparison(file, {"folders=[\"good/seed[2-9]\", \"bad/\"]"})).methods[0].seeds.size(), 1u);
  std::filesystem::rename(folder_ / "at [x4]/bad", folder_ / "at [x4]/bad[1]");
  const auto comparison = compared(read_comparison(file, {"folders=[\"good/seed*\", \"bad[1]/\"]"}));
  EXPECT_EQ(comparison.methods[1].seeds[0].folder.filename(), "bad[1]");
}

TEST_F(ComparisonTest, WhatDoesNotFitIsNamed) {
  const auto file = folder_ / "compare.toml";
  EXPECT_THROW_MESSAGE(read_comparison(file, {"names=[\"good\"]"}), UsageError, HasSubstr("names has 1 entries and folders 2"));
  EXPECT_THROW_MESSAGE(compared(read_comparison(file, {"folders=[\"good/seed*\", \"worse*\"]"})), UsageError, HasSubstr("worse*"));
  EXPECT_THROW_MESSAGE(compared(read_comparison(file, {"runs=[\"walk\"]"})), UsageError, HasSubstr("walk: no such run folder"));
  EXPECT_THROW_MESSAGE(compared(read_comparison(file, {"runs=[\"hr\"]"})), UsageError, HasSubstr("hr: not a run folder"));
  EXPECT_THROW_MESSAGE(compared(read_comparison(file, {"noise_folders=[\"silence\"]"})), Error, HasSubstr("silence: there is no such"));
  std::filesystem::remove(folder_ / "bad/q.png");
  EXPECT_THROW_MESSAGE(compared(read_comparison(file)), Error, AllOf(HasSubstr("bad"), HasSubstr("q.png")));
}

}  // namespace
}  // namespace lpnsr
