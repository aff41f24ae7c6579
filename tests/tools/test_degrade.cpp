#include <nlohmann/json.hpp>

#include "core/files.h"
#include "core/image.h"
#include "tests/support/fixtures.h"
#include "tests/support/synthetic.h"

namespace lpnsr {
namespace {

using lpnsr::testing::run_program;
using lpnsr::testing::TemporaryFolder;
using lpnsr::testing::write_text;
using ::testing::HasSubstr;

class DegradeCommand : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(folder / "hr/more");
    write_rgb(folder / "hr/a.png", lpnsr::testing::synthetic_tensor("command", "a", {3, 43, 50}, 0.5, 0.5));
    write_rgb(folder / "hr/more/b.jpg", lpnsr::testing::synthetic_tensor("command", "b", {3, 32, 32}, 0.5, 0.5));
  }
  std::string path(const std::string& name) const { return (folder / name).string(); }
  TemporaryFolder folder;
};

TEST_F(DegradeCommand, ParametersReplayToTheSameBytes) {
  const auto made = run_program({"degrade", "-i", path("hr"), "-o", path("lr"), "--seed", "7"});
  ASSERT_EQ(made.status, 0) << made.err;
  EXPECT_EQ(made.out, "");
  EXPECT_EQ(read_image(folder / "lr/a.png").rgb.sizes(), (std::vector<int64_t>{3, 10, 12}));
  const auto again = run_program({"degrade", "-i", path("hr"), "-o", path("again"), "--parameters", path("lr/parameters.jsonl")});
  ASSERT_EQ(again.status, 0) << again.err;
  const auto alone = run_program({"degrade", "-i", path("hr/a.png"), "-o", path("alone"), "--seed", "7"});
  ASSERT_EQ(alone.status, 0) << alone.err;
  for (const std::string name : {"a.png", "more/b.png", "parameters.jsonl"})
    EXPECT_EQ(read_file(folder / ("again/" + name)), read_file(folder / ("lr/" + name)));
  EXPECT_EQ(read_file(folder / "alone/a.png"), read_file(folder / "lr/a.png"));
}

TEST_F(DegradeCommand, ConfigurationIsHeard) {
  write_text(folder / "x2.toml", "[degradation]\nscale = 2\nsecond_order_prob = 1.0\n");
  const auto made =
      run_program({"degrade", "-i", path("hr"), "-o", path("lr"), "--experiment", path("x2.toml"), "--set", "degradation.jpeg=none"});
  ASSERT_EQ(made.status, 0) << made.err;
  EXPECT_EQ(read_image(folder / "lr/a.png").rgb.sizes(), (std::vector<int64_t>{3, 21, 25}));
  const std::string lines = read_file(folder / "lr/parameters.jsonl");
  const auto line = nlohmann::json::parse(lines.substr(0, lines.find('\n')));
  EXPECT_EQ(line["picture"], "a.png");
  EXPECT_EQ(line["parameters"]["jpeg"], "none");
  EXPECT_TRUE(line["parameters"]["second_order"]);
}

TEST_F(DegradeCommand, NeverWritesOverItsInput) {
  const std::string before = read_file(folder / "hr/a.png");
  const auto made = run_program({"degrade", "-i", path("hr"), "-o", path("hr")});
  EXPECT_EQ(made.status, 2);
  EXPECT_THAT(made.err, HasSubstr("a.png would be overwritten"));
  EXPECT_EQ(read_file(folder / "hr/a.png"), before);
}

TEST_F(DegradeCommand, FaultsAreNamed) {
  const auto nothing = run_program({"degrade", "-i", path("none"), "-o", path("lr")});
  EXPECT_EQ(nothing.status, 1);
  EXPECT_THAT(nothing.err, HasSubstr("none: does not exist"));
  const auto unknown = run_program({"degrade", "-i", path("hr"), "-o", path("lr"), "--set", "degradation.scal=2"});
  EXPECT_EQ(unknown.status, 2);
  EXPECT_THAT(unknown.err, HasSubstr("scale"));
  write_text(folder / "lines.jsonl", "{\"picture\": \"a.png\", \"parameters\": {\"flavour\": \"resshift\"}}\n");
  const auto broken = run_program({"degrade", "-i", path("hr"), "-o", path("lr"), "--parameters", path("lines.jsonl")});
  EXPECT_EQ(broken.status, 1);
  EXPECT_THAT(broken.err, HasSubstr("lines.jsonl:1: jpeg: is missing"));
}

}  // namespace
}  // namespace lpnsr
