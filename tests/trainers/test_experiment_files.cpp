// Every experiment file of the repository is valid.
#include <set>

#include <fmt/format.h>

#include "eval/figure_file.h"
#include "eval/test_set.h"
#include "tests/support/fixtures.h"
#include "trainers/experiment.h"

namespace lpnsr {
namespace {

const std::filesystem::path experiments = std::filesystem::path(LPNSR_SOURCE_DIR) / "experiments";

// Rows lead to experiments, tables to data sets; each file is read as what it is.
void check_rows(const std::vector<MethodEntry>& rows, const std::filesystem::path& folder) {
  for (const auto& row : rows) {
    for (const auto& name : {row.experiment, row.overlay}) {
      if (name.empty()) continue;
      EXPECT_NO_THROW(load_experiment(folder / name)) << row.name;
    }
  }
}

TEST(ExperimentFiles, AllLoad) {
  std::map<std::string, int> kinds;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(experiments)) {
    if (entry.path().extension() != ".toml") continue;
    SCOPED_TRACE(entry.path());
    const auto folder = entry.path().parent_path();
    const ConfigNode root = load_config(entry.path());
    if (root.table.contains("low")) {
      EXPECT_FALSE(read_test_set(entry.path()).source.empty());
      ++kinds["data"];
    } else if (root.table.contains("columns") && !root.table.contains("kind")) {
      const auto table = read_table_file(entry.path());
      check_rows(table.rows, folder);
      EXPECT_TRUE(table.overlay.empty() || std::filesystem::exists(folder / table.overlay));
      std::set<std::string> names;
      for (const auto& data : table.data) names.insert(read_test_set(folder / data).name);
      for (const auto& row : table.rows) {
        for (const auto& paper : row.paper) {
          EXPECT_TRUE(names.contains(paper.data)) << paper.data;
          EXPECT_EQ(paper.values.size(), table.columns.size()) << row.name;
        }
      }
      ++kinds["table"];
    } else if (root.table.contains("row") || root.table.contains("kind")) {
      const auto figure = read_figure_file(entry.path());
      check_rows(figure.rows, folder);
      EXPECT_TRUE(figure.data.empty() || std::filesystem::exists(folder / figure.data));
      EXPECT_TRUE(figure.table.empty() || std::filesystem::exists(folder / figure.table));
      ++kinds["figure"];
    } else {
      EXPECT_NO_THROW(load_experiment(entry.path(), {}));
      ++kinds["experiment"];
    }
  }
  EXPECT_GE(kinds["data"], 5);
  EXPECT_GE(kinds["table"], 15);
  EXPECT_GE(kinds["figure"], 15);
  EXPECT_GE(kinds["experiment"], 50);
}

TEST(ExperimentFiles, ARunTakesItsDegradationFromAnother) {
  const lpnsr::testing::TemporaryFolder folder;
  lpnsr::testing::write_text(folder / "run.toml",
                             fmt::format("extends = [\"{0}/lpnsr.toml\", \"{0}/degradation/realesrgan.toml\"]\n", experiments.string()));
  const auto run = load_experiment(folder / "run.toml", {});
  EXPECT_EQ(run.degradation.flavour, "realesrgan");
  EXPECT_EQ(run.data.degraded_size, 400);
  EXPECT_EQ(run.losses.lpips, 1.0);
}

}  // namespace
}  // namespace lpnsr
