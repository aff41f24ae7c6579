#include <nlohmann/json.hpp>

#include "tests/support/fixtures.h"

namespace lpnsr {
namespace {

using lpnsr::testing::run_program;
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

TEST(BenchCommand, UnknownPartsAreNamed) {
  const auto unknown = run_program({"bench", "degradatoin"});
  EXPECT_EQ(unknown.status, 2);
  EXPECT_THAT(unknown.err, HasSubstr("did you mean 'degradation'"));
  EXPECT_EQ(run_program({"bench", "degradation", "--rounds", "0"}).status, 2);
}

}  // namespace
}  // namespace lpnsr
