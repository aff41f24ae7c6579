// lpnsr figure with a small system: each kind, as SVG and PNG.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <fmt/format.h>

#include "core/files.h"
#include "core/image.h"
#include "tests/support/system_folder.h"

namespace lpnsr::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

class FigureCommand : public ::testing::Test {
 protected:
  void SetUp() override {
    write_system(folder_.path(), small_system());
    for (const std::string name : {"a", "b"}) {
      save("lq", name, 16);
      save("hr", name, 64);
    }
    write_text(folder_ / "set.toml", fmt::format("name = \"Set\"\nlow = [\"{}\"]\nhigh = [\"{}\"]\n", path("lq"), path("hr")));
    for (const int steps : {1, 2, 3, 4})
      write_text(folder_ / fmt::format("steps{}.toml", steps), fmt::format("extends = \"small.toml\"\n[sampling]\nsteps = {}\n", steps));
  }
  void save(const std::string& sub, const std::string& name, int64_t side) {
    fs::create_directories(folder_ / sub);
    write_rgb(folder_ / sub / (name + ".png"), synthetic_tensor("figure", sub + name, {3, side, side}, 0.5, 0.5).clamp(0, 1));
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  static constexpr const char* one_row = "[[row]]\nname = \"LPNSR\"\nexperiment = \"steps4.toml\"\n";
  // The SVG of a figure of `text`; the PNG has twice its pixels.
  std::string figure(const std::string& text) {
    write_text(folder_ / "fig.toml", text);
    const auto result = run_program(
        {"figure", path("fig.toml"), "--output", path("figures"), "--results", path("results"), "--weights-dir", path("weights")});
    EXPECT_EQ(result.status, 0) << result.err;
    if (result.status != 0) return "";
    EXPECT_EQ(result.out, path("figures/fig.svg") + "\n" + path("figures/fig.png") + "\n");
    const std::string svg = read_file(folder_ / "figures/fig.svg");
    EXPECT_THAT(svg.substr(svg.find("viewBox")),
                HasSubstr(fmt::format("viewBox=\"0 0 {} {}\"", read_image(path("figures/fig.png")).width() / 2,
                                      read_image(path("figures/fig.png")).height() / 2)));
    return svg;
  }
  static size_t count(const std::string& text, const std::string& part) {
    size_t found = 0;
    for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
    return found;
  }
  TemporaryFolder folder_;
};

TEST_F(FigureCommand, CropsSideBySide) {
  const auto svg =
      figure(std::string("data = \"set.toml\"\nside = 24\n[[picture]]\nname = \"b\"\nbox = [8, 16, 32, 16]\n[[picture]]\nname = \"a\"\n") +
             one_row + "[[row]]\nname = \"two <steps>\"\nexperiment = \"steps2.toml\"\n");
  EXPECT_EQ(count(svg, "<image"), 2 * 5);
  EXPECT_EQ(count(svg, "stroke=\"#e02020\""), 2);
  EXPECT_THAT(svg, AllOf(HasSubstr("two &lt;steps&gt;"), HasSubstr(">LR<"), HasSubstr(">HR<")));
  write_text(folder_ / "fig.toml", std::string("data = \"set.toml\"\n[[picture]]\nname = \"b\"\nbox = [60, 0, 8, 8]\n") + one_row);
  EXPECT_THAT(
      run_program({"figure", path("fig.toml"), "--results", path("results"), "--output", path("figures"), "--weights-dir", path("weights")})
          .err,
      HasSubstr("does not lie within its 64x64 pixels"));
}

TEST_F(FigureCommand, ACellThatAnotherProcessComputesIsNamed) {
  const std::string text = std::string("data = \"set.toml\"\n") + one_row;
  figure(text);
  const fs::path cell = fs::directory_iterator(folder_ / "results/cells")->path();
  fs::remove(cell / "restored/b.png");
  const int lock = open((cell / "lock").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(flock(lock, LOCK_EX | LOCK_NB), 0);
  const auto result = run_program(
      {"figure", path("fig.toml"), "--output", path("figures"), "--results", path("results"), "--weights-dir", path("weights")});
  close(lock);
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, AllOf(HasSubstr("row 'LPNSR': another process is computing"), HasSubstr(cell.string())));
  figure(text);
}

TEST_F(FigureCommand, TwoFiguresOfOneNameAreRefused) {
  const std::string text = std::string("data = \"set.toml\"\n") + one_row;
  write_text(folder_ / "fig.toml", text);
  write_text(folder_ / "other/fig.toml", text);
  const auto result = run_program({"figure", path("fig.toml"), path("other/fig.toml"), "--output", path("figures")});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.err, AllOf(HasSubstr(path("fig.toml") + " and " + path("other/fig.toml")), HasSubstr("called fig")));
  EXPECT_FALSE(fs::exists(folder_ / "figures")) << "told before anything is computed";
}

TEST_F(FigureCommand, NoiseOfEachStep) {
  const auto svg = figure(std::string("kind = \"noise\"\ndata = \"set.toml\"\nfirst = 1\n") + one_row);
  EXPECT_EQ(count(svg, "<image"), 4);
  EXPECT_LT(svg.find("noise at t = 4"), svg.find("noise at t = 3"));
  EXPECT_THAT(svg, HasSubstr("noise at t = 2"));
}

TEST_F(FigureCommand, DistributionsAgainstTheNormalOne) {
  const auto svg = figure(std::string("kind = \"distribution\"\ndata = \"set.toml\"\nfirst = 1\n") + one_row);
  EXPECT_EQ(count(svg, "<image"), 2);
  EXPECT_EQ(count(svg, "class=\"chart\""), 4);
  EXPECT_EQ(count(svg, ">N(0, 1)<") / 2, 3) << "as a line's title and in the legend";
}

TEST_F(FigureCommand, SpreadOverSeeds) {
  const auto svg = figure(std::string("kind = \"spread\"\ndata = \"set.toml\"\nfirst = 1\nseeds = 3\n") + one_row);
  EXPECT_EQ(count(svg, "<image"), 4) << "LR, mean, spread and the scale";
  EXPECT_THAT(svg, HasSubstr("σ of 3"));
}

TEST_F(FigureCommand, MetricsAgainstSteps) {
  std::string table = "columns = [\"psnr\", \"ssim\"]\ndata = [\"set.toml\"]\n";
  for (const int steps : {1, 2, 3, 4})
    table += fmt::format(
        "[[row]]\ngroup = \"T = {0}\"\nname = \"LPNSR\"\nexperiment = \"steps{0}.toml\"\npaper = [{{ data = \"Set\", values = [2{0}, 0.5] "
        "}}]\n",
        steps);
  write_text(folder_ / "table.toml", table);
  const auto svg = figure("kind = \"steps\"\ntable = \"table.toml\"\ncolumns = [\"psnr\"]\n");
  EXPECT_EQ(count(svg, "class=\"chart\""), 1);
  EXPECT_EQ(count(svg, "<circle"), 2 * 4);
  write_text(folder_ / "fig.toml", "kind = \"steps\"\ntable = \"table.toml\"\ncolumns = [\"pnsr\"]\n");
  const auto unknown = run_program({"figure", path("fig.toml"), "--output", path("figures"), "--results", path("results")});
  EXPECT_EQ(unknown.status, 2);
  EXPECT_THAT(unknown.err, AllOf(HasSubstr("fig.toml: columns: "), HasSubstr("did you mean 'psnr'?"), HasSubstr("psnr, ssim")));
  EXPECT_EQ(read_file(folder_ / "figures/fig.svg"), svg) << "the earlier figure stays";
  EXPECT_THAT(svg, AllOf(HasSubstr("LPNSR (paper)"), HasSubstr("stroke-dasharray"), HasSubstr("sampling steps")));
}

TEST_F(FigureCommand, CurvesOfRuns) {
  for (const std::string run : {"one", "two"})
    write_text(folder_ / (run + "/metrics.jsonl"), "{\"step\": 1, \"total\": 2.0, \"rate\": 1}\n{\"step\": 2, \"total\": 1.5}\n");
  const auto svg = figure(fmt::format("kind = \"curves\"\nruns = [\"first={}\", \"{}\"]\n", path("one"), path("two")));
  EXPECT_EQ(count(svg, "class=\"chart\""), 1);
  EXPECT_THAT(svg, AllOf(HasSubstr(">first<"), HasSubstr(">two<")));
}

}  // namespace
}  // namespace lpnsr::testing
