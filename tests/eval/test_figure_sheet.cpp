// Sheets of pictures and charts.
#include "core/error.h"
#include "core/files.h"
#include "core/image.h"
#include "eval/figure_sheet.h"
#include "tests/support/fixtures.h"

namespace lpnsr::testing {
namespace {

TEST(FigureSheet, DensitiesAreDensities) {
  torch::manual_seed(1);
  const auto curve = density("x", torch::randn({20000}), -4, 4, 40);
  const auto normal = normal_density("n", 0, 1, -4, 4, 40);
  double area = 0, normal_area = 0;
  for (const double y : curve.y) area += y * 0.2;
  for (const double y : normal.y) normal_area += y * 0.2;
  EXPECT_NEAR(area, 1.0, 1e-3);
  EXPECT_NEAR(normal_area, 1.0, 1e-3);
  EXPECT_NEAR(curve.y[20], 0.397, 0.02);
  EXPECT_NEAR(normal.y[20], 0.39894, 1e-4);
}

TEST(FigureSheet, HeatGrowsBrighter) {
  const auto colours = heat(torch::linspace(0, 1, 9).unsqueeze(0));
  EXPECT_EQ(colours.sizes(), (std::vector<int64_t>{3, 1, 9}));
  const auto luma = luma_bt601(colours).flatten();
  EXPECT_TRUE((luma.slice(0, 1) > luma.slice(0, 0, -1)).all().item<bool>());
}

TEST(FigureSheet, ThePngShowsWhatWasPutIn) {
  const TemporaryFolder folder;
  FigureSheet sheet("");
  sheet.row();
  sheet.picture("red", torch::tensor({1.0F, 0.0F, 0.0F}).view({3, 1, 1}).expand({3, 10, 20}));
  sheet.picture("green", torch::tensor({0.0F, 1.0F, 0.0F}).view({3, 1, 1}).expand({3, 10, 10}), Box{2, 2, 4, 4});
  sheet.write(folder / "sheet");
  const auto png = read_image(folder / "sheet.png").rgb;
  const auto at = [&](double x, double y) { return png.select(2, static_cast<int64_t>(2 * x)).select(1, static_cast<int64_t>(2 * y)); };
  EXPECT_TRUE(at::equal(at(100, 100), torch::tensor({1.0F, 0.0F, 0.0F})));
  EXPECT_TRUE(at::equal(at(12 + 380 + 8 + 150, 150), torch::tensor({0.0F, 1.0F, 0.0F})));
  EXPECT_TRUE(at::equal(at(2, 2), torch::ones({3}))) << "the margin is white";
  EXPECT_NEAR(at(12 + 380 + 8 + 2 * 19, 12 + 4 * 19)[0].item<double>(), 0.88, 0.05) << "the left edge of the box";
}

TEST(FigureSheet, LeavesNothingBesideItsFilesHoweverLongTheirNames) {
  const TemporaryFolder folder;
  const std::string longest(251, 'n');  // 255 bytes with the extension
  FigureSheet sheet("");
  sheet.picture("white", torch::ones({3, 4, 4}));
  sheet.write(folder / longest);
  EXPECT_TRUE(std::filesystem::is_regular_file(folder / (longest + ".png")));
  std::filesystem::remove(folder / (longest + ".png"));
  std::filesystem::create_directory(folder / (longest + ".png"));  // nothing can be renamed to it
  EXPECT_THROW_MESSAGE(sheet.write(folder / longest), Error, ::testing::HasSubstr(longest + ".png: cannot be written"));
  const std::filesystem::directory_iterator entries(folder.path());
  EXPECT_EQ(std::distance(begin(entries), end(entries)), 2);
}

TEST(FigureSheet, AnEmptySheetReplacesNothing) {
  const TemporaryFolder folder;
  write_text(folder / "sheet.svg", "earlier");
  write_text(folder / "sheet.png", "earlier");
  FigureSheet sheet("A title");
  sheet.row("and a row");
  EXPECT_THROW_MESSAGE(sheet.write(folder / "sheet"), Error, ::testing::HasSubstr("nothing is written"));
  EXPECT_EQ(read_file(folder / "sheet.svg"), "earlier");
  EXPECT_EQ(read_file(folder / "sheet.png"), "earlier");
}

TEST(FigureSheet, WhatCannotBeDrawnReplacesNothing) {
  const TemporaryFolder folder;
  write_text(folder / "sheet.svg", "earlier");
  write_text(folder / "sheet.png", "earlier");
  FigureSheet sheet("A character that no SVG may hold: \x01");
  sheet.picture("red", torch::ones({3, 10, 10}));
  EXPECT_THROW_MESSAGE(sheet.write(folder / "sheet"), Error, ::testing::HasSubstr("sheet.png: rsvg-convert could not draw it"));
  EXPECT_EQ(read_file(folder / "sheet.svg"), "earlier");
  EXPECT_EQ(read_file(folder / "sheet.png"), "earlier");
  const auto files = std::filesystem::directory_iterator(folder.path());
  EXPECT_EQ(std::distance(begin(files), end(files)), 2) << "no temporary file is left";
}

}  // namespace
}  // namespace lpnsr::testing
