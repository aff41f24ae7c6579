// Every experiment file of the repository is valid.
#include <fmt/format.h>

#include "tests/support/fixtures.h"
#include "trainers/experiment.h"

namespace lpnsr {
namespace {

const std::filesystem::path experiments = std::filesystem::path(LPNSR_SOURCE_DIR) / "experiments";

TEST(ExperimentFiles, AllLoad) {
  int64_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(experiments)) {
    if (entry.path().extension() != ".toml") continue;
    SCOPED_TRACE(entry.path());
    EXPECT_NO_THROW(load_experiment(entry.path(), {}));
    ++files;
  }
  EXPECT_GE(files, 14);
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
