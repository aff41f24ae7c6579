#include <sstream>

#include <fmt/format.h>
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
    EXPECT_TRUE(lpnsr::testing::same_bytes(folder / ("again/" + name), folder / ("lr/" + name)));
  EXPECT_TRUE(lpnsr::testing::same_bytes(folder / "alone/a.png", folder / "lr/a.png"));
}

// A closed descriptor would be given to the next file that is opened.
TEST_F(DegradeCommand, MessagesDoNotGetIntoTheResultsWhereStderrIsClosed) {
  write_text(folder / "hr/bad.png", "no picture");
  const char* program = std::getenv("LPNSR_PROGRAM");
  ASSERT_NE(program, nullptr);
  const std::string command = fmt::format("'{}' degrade -i '{}' -o '{}' --threads 1 --explain >&- 2>&-", program, path("hr"), path("lr"));
  EXPECT_NE(std::system(command.c_str()), 0);
  std::istringstream lines(read_file(folder / "lr/parameters.jsonl"));
  int64_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) EXPECT_TRUE(nlohmann::json::accept(line)) << line;
  EXPECT_EQ(count, 2);
}

TEST_F(DegradeCommand, SeveralCopiesOnAnyNumberOfThreads) {
  const auto made = run_program({"degrade", "-i", path("hr"), "-o", path("lr"), "--count", "3", "--threads", "1"});
  ASSERT_EQ(made.status, 0) << made.err;
  const auto many = run_program({"degrade", "-i", path("hr"), "-o", path("many"), "--count", "3", "--threads", "4"});
  ASSERT_EQ(many.status, 0) << many.err;
  const auto again =
      run_program({"degrade", "-i", path("hr"), "-o", path("again"), "--count", "3", "--parameters", path("lr/parameters.jsonl")});
  ASSERT_EQ(again.status, 0) << again.err;
  for (const std::string name : {"a-1.png", "a-2.png", "a-3.png", "more/b-1.png", "more/b-3.png", "parameters.jsonl"}) {
    EXPECT_TRUE(lpnsr::testing::same_bytes(folder / ("many/" + name), folder / ("lr/" + name)));
    EXPECT_TRUE(lpnsr::testing::same_bytes(folder / ("again/" + name), folder / ("lr/" + name)));
  }
  EXPECT_NE(read_file(folder / "lr/a-1.png"), read_file(folder / "lr/a-2.png"));
  const auto missing =
      run_program({"degrade", "-i", path("hr"), "-o", path("more"), "--count", "4", "--parameters", path("lr/parameters.jsonl")});
  EXPECT_EQ(missing.status, 1);
  EXPECT_THAT(missing.err, HasSubstr("no line for a.png, copy 4"));
}

TEST_F(DegradeCommand, MemoryDoesNotGrowWithTheNumberOfPictures) {
  write_rgb(folder / "hr/a.png", lpnsr::testing::synthetic_tensor("command", "large", {3, 512, 512}, 0.5, 0.5));
  const auto peak = [&](const std::string& copies) {
    const auto made = run_program({"degrade", "-i", path("hr/a.png"), "-o", path("lr" + copies), "--count", copies, "--threads", "2"});
    EXPECT_EQ(made.status, 0) << made.err;
    return made.peak_mebibytes;
  };
  // A hundred targets of 3 MB each, if they were kept.
  EXPECT_LT(peak("120"), peak("20") + 60.0);
}

TEST_F(DegradeCommand, OneDamagedPictureStopsNoOther) {
  write_text(folder / "hr/a0.png", "not a picture");
  const auto made = run_program({"degrade", "-i", path("hr"), "-o", path("lr")});
  EXPECT_EQ(made.status, 1);
  EXPECT_THAT(made.err, HasSubstr("1 of 3 pictures could not be degraded:\n  "));
  EXPECT_THAT(made.err, HasSubstr("a0.png"));
  EXPECT_TRUE(std::filesystem::exists(folder / "lr/a.png"));
  EXPECT_TRUE(std::filesystem::exists(folder / "lr/more/b.png"));
  EXPECT_FALSE(std::filesystem::exists(folder / "lr/a0.png"));
  const std::string lines = read_file(folder / "lr/parameters.jsonl");
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 2);
}

TEST_F(DegradeCommand, ExplainsAndReports) {
  const auto made = run_program({"degrade", "-i", path("hr"), "-o", path("lr"), "--explain", "--report", path("page.html"), "--set",
                                 "degradation.second_order_prob=1"});
  ASSERT_EQ(made.status, 0) << made.err;
  for (const std::string part :
       {"a.png\n", "b.png\n", "  first.resize ", "  first.noise ", "  second.resize ", "  final.jpeg ", "to 12 x 10"})
    EXPECT_THAT(made.out, HasSubstr(part));
  const std::string page = read_file(folder / "page.html");
  EXPECT_THAT(page, HasSubstr("first.noise: "));
  EXPECT_THAT(page, HasSubstr("first JPEG quality (2)"));
}

// A run that ends between two pictures, as one that is killed does: its second picture meets a full disk.
TEST_F(DegradeCommand, ParametersNeverLieBesidePicturesOfAnotherRun) {
  const auto degraded = [this](const std::vector<std::string>& more) {
    std::vector<std::string> words{"degrade", "-i", path("hr"), "-o", path("lr"), "--threads", "1"};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words).status;
  };
  ASSERT_EQ(degraded({"--seed", "7"}), 0);
  const std::string before = read_file(folder / "lr/a.png"), lines = read_file(folder / "lr/parameters.jsonl");
  std::filesystem::remove(folder / "lr/more/b.png");
  std::filesystem::create_symlink("/dev/full", folder / "lr/more/b.png");
  // What this run repeats stays true.
  EXPECT_EQ(degraded({"--parameters", path("lr/parameters.jsonl")}), 1);
  EXPECT_EQ(read_file(folder / "lr/parameters.jsonl"), lines);
  EXPECT_EQ(degraded({"--seed", "8"}), 1);
  EXPECT_NE(read_file(folder / "lr/a.png"), before);
  EXPECT_EQ(read_file(folder / "lr/parameters.jsonl"), "");
}

class DataCommand : public DegradeCommand {};

TEST_F(DataCommand, NamesWhatIsDamagedOrSmall) {
  write_text(folder / "hr/broken.png", "not a picture");
  write_text(folder / "run.toml", "trainer = \"autoencoder\"\n[data]\nfolders = [\"" + path("hr") + "\"]\ncrop_size = 40\n");
  const auto checked = run_program({"data", "check", path("run.toml")});
  EXPECT_EQ(checked.status, 1);
  EXPECT_THAT(checked.out, HasSubstr("3 pictures, sides from 32 to 50 pixels"));
  EXPECT_THAT(checked.out, HasSubstr("broken.png: "));
  EXPECT_THAT(checked.out, HasSubstr("smaller than the crop, will be mirrored to fill it: " + path("hr/more/b.jpg")));
  const auto again = run_program({"data", "check", path("run.toml"), "--json"});
  const auto json = nlohmann::json::parse(again.out);
  EXPECT_EQ(json["pictures"], 3);
  EXPECT_EQ(json["unreadable"].size(), 1U);
  EXPECT_EQ(run_program({"data", "chek", path("run.toml")}).status, 2);
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
