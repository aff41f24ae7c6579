#include <nlohmann/json.hpp>

#include "tests/support/fixtures.h"
#include "tests/support/small_system.h"
#include "trainers/experiment.h"

namespace lpnsr::testing {
namespace {

using ::testing::HasSubstr;

// That it runs and says what it should; no test depends on a speed.
TEST(BenchCommand, TimesAPartBesideItsPlainForm) {
  const auto timed = run_program({"bench", "degradation", "--rounds", "1", "--threads", "1", "--json"});
  ASSERT_EQ(timed.status, 0) << timed.err;
  const auto json = nlohmann::json::parse(timed.out);
  EXPECT_EQ(json["part"], "degradation");
  EXPECT_GT(json["timings"].size(), 2U);
  EXPECT_EQ(json["timings"].back()["times_as_fast"], 1.0);
}

// Of both methods in one call, with what each restoration is made of.
TEST(BenchCommand, RestoringIsTimedBesideItsParts) {
  const TemporaryFolder folder;
  Experiment experiment;
  experiment.system = micro_system();
  experiment.restore.pad_multiple = 8;
  write_text(folder / "chain.toml", write_config(fields_of(experiment)));
  experiment.system.sampling.method = "one_step";
  experiment.system.denoiser.noise_channels = 1;
  experiment.restore.procedure = "sinsr";
  write_text(folder / "one_step.toml", write_config(fields_of(experiment)));
  const std::vector<std::string> files{(folder / "chain.toml").string(), (folder / "one_step.toml").string()};
  const auto timed = run_program({"bench", "restore", "--rounds", "1", "--threads", "1", "--json", "--experiment", files[0], files[1]});
  ASSERT_EQ(timed.status, 0) << timed.err;
  const auto json = nlohmann::json::parse(timed.out);
  ASSERT_EQ(json.size(), 2U);
  const auto times = [&json](size_t of) {
    std::map<std::string, int64_t> parts;
    for (const auto& part : json[of]["parts"]) parts[part["part"]] = part["times"];
    return parts;
  };
  EXPECT_EQ(times(0), (std::map<std::string, int64_t>{{"encoder", 1}, {"denoiser", 4}, {"noise_predictor", 3}, {"decoder", 1}}));
  EXPECT_EQ(times(1), (std::map<std::string, int64_t>{{"encoder", 1}, {"denoiser", 1}, {"decoder", 1}}));
  EXPECT_GT(json[1]["parts_of_the_whole"].get<double>(), 0.0);
  EXPECT_EQ(json[0]["part"], "restore of " + files[0]);
}

TEST(BenchCommand, UnknownPartsAreNamed) {
  const auto unknown = run_program({"bench", "degradatoin"});
  EXPECT_EQ(unknown.status, 2);
  EXPECT_THAT(unknown.err, HasSubstr("did you mean 'degradation'"));
  EXPECT_EQ(run_program({"bench", "degradation", "--rounds", "0"}).status, 2);
}

}  // namespace
}  // namespace lpnsr::testing
