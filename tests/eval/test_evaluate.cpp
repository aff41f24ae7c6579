#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/image.h"
#include "eval/evaluate.h"
#include "eval/metrics.h"
#include "eval/psnr_ssim.h"
#include "eval/table.h"
#include "tests/support/fixtures.h"

namespace lpnsr {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::TemporaryFolder;

at::Tensor square(uint64_t seed, int64_t side = 24) {
  torch::manual_seed(seed);
  return torch::rand({3, side, side});
}

TEST(Pairing, FollowsTheNamesOfDataSets) {
  const TemporaryFolder lr, hr;
  const std::vector<std::pair<std::string, std::string>> names = {{"a.png", "a.png"},        {"Canon_001_LR4.png", "Canon_001_HR.png"},
                                                                  {"b_lq.png", "b.png"},     {"cx4.png", "c_gt.png"},
                                                                  {"d.png", "d.bmp"},        {"e.png", "e.tif"},
                                                                  {"f_lq.jpg", "f_HR.TIFF"}, {"g.bmp", "g.webp"},
                                                                  {"h.png", "h.Png"}};
  for (const auto& [low, high] : names) {
    write_rgb(lr / low, square(1));
    write_rgb(hr / high, square(2));
  }
  const auto pairs = pair_pictures(lr.path(), hr.path());
  ASSERT_EQ(pairs.size(), names.size());
  for (const auto& pair : pairs) {
    const auto entry = std::find_if(names.begin(), names.end(), [&](const auto& name) { return name.first == pair.picture.filename(); });
    ASSERT_NE(entry, names.end());
    EXPECT_EQ(pair.reference.filename(), entry->second);
  }
  // RealSR has both in one folder.
  const TemporaryFolder both;
  write_rgb(both / "Nikon_050_LR4.png", square(1));
  write_rgb(both / "Nikon_050_HR.png", square(2));
  const auto mixed = pair_pictures(both.path(), both.path());
  ASSERT_EQ(mixed.size(), 1u);
  EXPECT_EQ(mixed[0].reference.filename(), "Nikon_050_HR.png");
}

TEST(Pairing, APictureWithoutAFolderLiesInTheCurrentOne) {
  const TemporaryFolder both;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(both.path());
  write_rgb("a_LR4.png", square(1));
  write_rgb("a_HR.png", square(2));
  EXPECT_EQ(find_counterpart("a_LR4.png", ".").filename(), "a_HR.png");
  EXPECT_EQ(find_counterpart("a_LR4.png", both.path()).filename(), "a_HR.png");
  std::filesystem::current_path(before);
}

TEST(Pairing, UnmatchedPicturesAreNamed) {
  const TemporaryFolder restored, hr;
  write_rgb(restored / "lonely.png", square(1));
  write_rgb(hr / "other.png", square(1));
  EXPECT_THROW_MESSAGE(pair_pictures(restored.path(), hr.path()), Error, AllOf(HasSubstr("lonely.png"), HasSubstr("1 of 1")));
  EXPECT_THROW_MESSAGE(pair_pictures(restored.path(), hr / "nowhere"), Error, HasSubstr("nowhere"));
  const TemporaryFolder empty;
  EXPECT_THROW_MESSAGE(pair_pictures(empty.path(), hr.path()), Error, HasSubstr("holds no pictures"));
}

TEST(Evaluate, ScoresAndMeans) {
  const TemporaryFolder restored, hr;
  for (const std::string name : {"one.png", "two,three.png"}) {
    write_rgb(restored / name, square(name.size()));
    write_rgb(hr / name, square(name.size() + 100));
  }
  const auto evaluation = evaluate(pair_pictures(restored.path(), hr.path()), make_metrics({"psnr", "ssim"}, {}));
  ASSERT_EQ(evaluation.pictures.size(), 2u);
  const double first = psnr(read_image(restored / "one.png").rgb, read_image(hr / "one.png").rgb);
  EXPECT_EQ(evaluation.pictures[0].values[0], first);
  EXPECT_NEAR(evaluation.means()[0], (first + evaluation.pictures[1].values[0]) / 2, 1e-12);
  EXPECT_THAT(evaluation.table(), AllOf(HasSubstr("one.png"), HasSubstr("lpnsr, Y, crop 4"), HasSubstr("mean"), Not(HasSubstr("**"))));
  EXPECT_THAT(evaluation.csv(), AllOf(HasSubstr("picture,\"psnr [lpnsr, Y, crop 4]\",\"ssim [lpnsr, Y, crop 4]\"\n"),
                                      HasSubstr("\"two,three.png\""), HasSubstr("\nAVERAGE,")));
  const auto json = evaluation.json();
  EXPECT_EQ(json["mean"]["psnr"].get<double>(), evaluation.means()[0]);
  EXPECT_EQ(json["pictures"][0]["ssim"].get<double>(), evaluation.pictures[0].values[1]);
}

// Scores the mean of each picture, at most `batch` at a time; notes how many came together.
Metric batched_mean(int64_t batch, std::vector<size_t>& counts) {
  Metric metric{.name = "mean", .label = "Mean", .protocol = "mean", .kind = MetricKind::picture};
  score_by_network(metric, {.set = {}, .config = {}, .files = {}, .batch = batch}, [&counts](const at::Tensor& images, const at::Tensor&) {
    if (images.size(2) < 8) throw UsageError("too small");
    counts.push_back(static_cast<size_t>(images.size(0)));
    return images.mean({1, 2, 3});
  });
  return metric;
}

TEST(Evaluate, PicturesOfEqualSizeGoThroughANetworkTogether) {
  const TemporaryFolder folder;
  const std::vector<std::pair<std::string, int64_t>> pictures = {{"a", 20}, {"b", 24}, {"c", 20}, {"d", 20},
                                                                 {"e", 24}, {"f", 20}, {"g", 20}};
  for (const auto& [name, side] : pictures) write_rgb(folder / (name + ".png"), square(name[0], side));
  std::vector<size_t> counts;
  const auto pairs = pair_pictures(folder.path(), {});
  const auto one_by_one = evaluate(pairs, {batched_mean(0, counts)});
  EXPECT_EQ(counts, std::vector<size_t>(7, 1));  // a CPU gains nothing
  counts.clear();
  const auto batched = evaluate(pairs, {batched_mean(4, counts)});
  EXPECT_EQ(counts, (std::vector<size_t>{3, 1, 2, 1}));  // a b c d, then e f g
  for (size_t i = 0; i < pairs.size(); ++i) {
    EXPECT_EQ(batched.pictures[i].name, one_by_one.pictures[i].name);
    EXPECT_NEAR(batched.pictures[i].values[0], one_by_one.pictures[i].values[0], 1e-7);
  }
  write_rgb(folder / "c2.png", square(1, 7));
  EXPECT_THROW_MESSAGE(evaluate(pair_pictures(folder.path(), {}), {batched_mean(4, counts)}), UsageError,
                       AllOf(HasSubstr("c2.png"), HasSubstr("too small")));
}

TEST(Evaluate, BatchesAreSmallerForLargePicturesOnAGpu) {
  const BatchSize on_gpu{.device = c10::Device(c10::kCUDA, 0)};
  EXPECT_EQ(on_gpu.of(256 * 256), 16);
  EXPECT_EQ(on_gpu.of(512 * 512), 8);
  EXPECT_EQ(on_gpu.of(4000 * 3000), 1);
  EXPECT_EQ((BatchSize{.asked = 5, .device = c10::Device(c10::kCUDA, 0)}.of(4000 * 3000)), 5);
  EXPECT_EQ(BatchSize{}.of(1), 1);
}

TEST(Evaluate, SetsHaveOneValue) {
  const TemporaryFolder restored, hr;
  for (const std::string name : {"a.png", "b.png"}) {
    write_rgb(restored / name, square(1));
    write_rgb(hr / name, square(2));
  }
  Metric metric{.name = "set", .label = "Set", .protocol = "mean", .kind = MetricKind::set};
  metric.features = [](const Metric::Pictures& images) {
    std::vector<at::Tensor> rows;
    for (const auto& image : images) rows.push_back(image.mean({1, 2}));
    return torch::stack(rows);
  };
  metric.distance = [](const at::Tensor& a, const at::Tensor& b) { return (a.mean(0) - b.mean(0)).abs().sum().item<double>(); };
  const auto evaluation = evaluate(pair_pictures(restored.path(), hr.path()), {metric});
  const auto want = (square(1).mul(255).round().div(255).mean({1, 2}) - square(2).mul(255).round().div(255).mean({1, 2})).abs().sum();
  EXPECT_NEAR(evaluation.means()[0], want.item<double>(), 1e-5);
  EXPECT_THAT(evaluation.csv(), HasSubstr("\na.png,\nb.png,\nAVERAGE,"));
  EXPECT_EQ(evaluation.json()["pictures"][0]["set"], nullptr);
}

TEST(Evaluate, NumbersThatJsonLacks) {
  const TemporaryFolder folder;
  write_rgb(folder / "same.png", square(1));
  const auto evaluation = evaluate({{folder / "same.png", folder / "same.png"}}, make_metrics({"psnr"}, {}));
  EXPECT_EQ(evaluation.json()["mean"]["psnr"], "inf");
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(mean_of({1.0, nan, 3.0}), 2.0);
  EXPECT_TRUE(std::isnan(mean_of({nan})));
}

TEST(Evaluate, SizesThatDifferNameBothFiles) {
  const TemporaryFolder folder;
  write_rgb(folder / "small.png", square(1, 24));
  write_rgb(folder / "large.png", square(1, 25));
  const std::vector<PicturePair> pairs = {{folder / "small.png", folder / "large.png"}};
  EXPECT_THROW_MESSAGE(evaluate(pairs, make_metrics({"psnr"}, {})), UsageError,
                       AllOf(HasSubstr("small.png is 24x24"), HasSubstr("large.png is 25x25")));
  EXPECT_THROW_MESSAGE(evaluate({{folder / "small.png", {}}}, make_metrics({"psnr"}, {})), UsageError, HasSubstr("--reference"));
}

TEST(Table, MarksTheBestOfEachColumn) {
  const std::vector<Column> columns = {{"PSNR", true, 2}, {"LPIPS", false, 3}};
  const std::vector<TableRow> rows = {{"a", {{27.301, 0.04}, {0.3}}}, {"b|c", {{27.304}, {0.25, 0.01}}}, {"d", {{}, {0.9}}}};
  const auto table = markdown_table("method", columns, rows, true);
  EXPECT_THAT(table, AllOf(HasSubstr("**27.30 ± 0.04**"), HasSubstr("**27.30**"), HasSubstr("**0.250 ± 0.010**"),
                           HasSubstr("<u>0.300</u> |"), HasSubstr(" 0.900 |"), HasSubstr("b\\|c")));
  std::istringstream lines(table);
  std::string line;
  size_t count = 0;
  for (; std::getline(lines, line); ++count) EXPECT_TRUE(line.starts_with("| ") && line.ends_with(" |")) << line;
  EXPECT_EQ(count, 5u);
  EXPECT_EQ(format_cell({}, 2), "-");
}

}  // namespace
}  // namespace lpnsr
