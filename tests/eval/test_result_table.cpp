// A table's numbers and how they are written.
#include <cstdlib>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/files.h"
#include "eval/evaluate.h"
#include "eval/result_table.h"
#include "tests/support/fixtures.h"

namespace lpnsr::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

// Two methods and one that nobody ran, one data set, two groups; the second column has no values of single pictures.
ResultTable example() {
  ResultTable table{"example", "A 100% table_of & {things}", "note", {}, {}, {}};
  table.columns = {{"psnr", "lpnsr, Y, crop 4", {"PSNR ↑", true, 2}}, {"fid", "clean", {"FID ↓", false, 1}}};
  ResultRow ours, theirs, absent;
  ours.name = "ours";
  ours.seeds = {1, 2};
  ours.pictures = theirs.pictures = {"a", "b", "c"};
  ours.cells = {{{{20.0, 22.0, 24.0}, {21.0, 23.0, 25.0}}, 22.0}, {{{5.0}, {7.0}}, kNothing}};
  theirs.name = "theirs, \"quoted\"";
  theirs.cells = {{{{19.0, 21.0, 26.0}}, kNothing}, {{{9.0}}, kNothing}};
  absent.name = "absent";
  absent.missing = "missing weights";
  absent.cells = {{{}, 25.0}, {{}, 4.0}};
  table.blocks = {{"Set, T = 4", "Set", "T = 4", {ours, theirs, absent}}, {"Set, T = 3", "Set", "T = 3", {theirs}}};
  return table;
}

TEST(ResultCell, MeansOverSeedsAndPictures) {
  const auto table = example();
  const Cell cell = table.blocks[0].rows[0].cells[0].cell();
  EXPECT_DOUBLE_EQ(cell.mean, 22.5);
  EXPECT_DOUBLE_EQ(cell.spread, std::sqrt(0.5)) << "of 22 and 23";
  EXPECT_EQ(table.blocks[0].rows[0].cells[0].pictures(), (std::vector<double>{20.5, 22.5, 24.5}));
  const auto expected = bootstrap_interval({20.5, 22.5, 24.5});
  EXPECT_EQ(cell.interval.low, expected.low);
  EXPECT_EQ(cell.interval.high, expected.high);
  const Cell one_value = table.blocks[0].rows[1].cells[1].cell();
  EXPECT_TRUE(std::isnan(one_value.spread) && std::isnan(one_value.interval.low));
  EXPECT_TRUE(std::isnan(table.blocks[0].rows[2].cells[0].cell().mean));
}

TEST(ResultCell, SeedsOfDifferentLengthsHaveNoMeansOfPictures) {
  const ResultCell cell{{{20.0, 22.0, 24.0}, {21.0}}, kNothing};
  EXPECT_TRUE(cell.pictures().empty());
  EXPECT_DOUBLE_EQ(cell.cell().mean, 21.5);
  EXPECT_TRUE(std::isnan(cell.cell().interval.low));
}

TEST(ResultTable, MarkdownHasThePapersNumbersAndTheDifference) {
  const auto text = example().markdown();
  EXPECT_THAT(text,
              AllOf(HasSubstr("## Set, T = 4"), HasSubstr("**22.50 ± 0.71 [20.50, 24.50]**"), HasSubstr("as published"), HasSubstr("22.00"),
                    HasSubstr("+0.50"), HasSubstr("* absent: missing weights"), HasSubstr("theirs, \"quoted\" − ours = -0.500, p = ")));
  EXPECT_THAT(text, Not(HasSubstr("**25.00"))) << "what the paper states has no rank";
}

TEST(ResultTable, CsvAndJson) {
  const auto table = example();
  EXPECT_THAT(table.csv(),
              AllOf(HasSubstr("Set,T = 4,ours,1,22,5\n"), HasSubstr("Set,T = 4,ours,2,23,7\n"), HasSubstr("Set,T = 4,ours,paper,22,\n"),
                    HasSubstr("Set,T = 4,\"theirs, \"\"quoted\"\"\",,22,9\n"), HasSubstr("Set,T = 4,absent,paper,25,4\n")));
  EXPECT_THAT(table.scores_csv(), AllOf(HasSubstr("Set,T = 4,ours,2,b,23,\n"), Not(HasSubstr("absent"))));
  const auto json = table.json();
  EXPECT_EQ(json["blocks"][0]["rows"][0]["cells"]["psnr"]["rank"], 1);
  EXPECT_EQ(json["blocks"][0]["rows"][1]["cells"]["fid"]["rank"], 2);
  EXPECT_EQ(json["blocks"][0]["rows"][0]["cells"]["psnr"]["difference"], 0.5);
  EXPECT_TRUE(json["blocks"][0]["rows"][2]["cells"]["psnr"]["mean"].is_null());
}

TEST(ResultTable, LatexMarksAsThePaperDoes) {
  const auto text = example().latex();
  EXPECT_THAT(text, AllOf(HasSubstr("\\multicolumn{3}{l}{\\textit{Set, T = 4}}"), HasSubstr("\\textcolor{red}{22.50 $\\pm$ 0.71}"),
                          HasSubstr("$+0.50$"), Not(HasSubstr("["))));
}

// Slow: runs LaTeX where it is installed (tools/setup --documents).
TEST(ResultTable, LatexCompiles) {
  if (std::system("command -v pdflatex >/dev/null 2>&1") != 0)
    GTEST_SKIP() << "pdflatex is not installed: tools/setup --documents installs it";
  const TemporaryFolder folder;
  auto table = example();
  table.blocks[0].rows[0].name = "λ_l ~ 50% of $x^2$ & #1 {a} \\b × c";
  write_text(folder / "table.tex",
             "\\documentclass{article}\n\\usepackage{booktabs,xcolor}\n\\begin{document}\n" + table.latex() + "\\end{document}\n");
  const int status = std::system(
      fmt::format("cd {} && pdflatex -interaction=nonstopmode -halt-on-error table.tex > out.txt 2>&1", folder.path().string()).c_str());
  EXPECT_EQ(status, 0) << read_file(folder / "out.txt");
  EXPECT_TRUE(std::filesystem::exists(folder / "table.pdf"));
}

// Slow: opens the page in a browser where one is installed (tools/setup --documents).
TEST(ResultTable, ThePageOpensInABrowserWithoutErrors) {
  if (std::system("command -v chromium >/dev/null 2>&1") != 0)
    GTEST_SKIP() << "chromium is not installed: tools/setup --documents installs it";
  const TemporaryFolder folder;
  HtmlReport report("Results");
  example().add_to(report);
  report.write(folder / "results.html");
  const int status =
      std::system(fmt::format("cd {0} && HOME={0} timeout 100 chromium --headless=new --no-sandbox --disable-gpu --enable-logging=stderr "
                              "--virtual-time-budget=2000 --dump-dom file://{0}/results.html > dom.txt 2> log.txt",
                              folder.path().string())
                      .c_str());
  EXPECT_EQ(status, 0) << read_file(folder / "log.txt");
  EXPECT_THAT(read_file(folder / "dom.txt"),
              AllOf(HasSubstr("<h1>Results</h1>"), HasSubstr("as published"), HasSubstr("A 100% table_of &amp; {things}")));
  EXPECT_THAT(read_file(folder / "log.txt"), AllOf(Not(HasSubstr("CONSOLE")), Not(HasSubstr("Uncaught"))));
}

}  // namespace
}  // namespace lpnsr::testing
