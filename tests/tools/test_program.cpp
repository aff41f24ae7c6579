// The program as a person meets it: help, usage errors, exit statuses, streams.
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "tests/support/fixtures.h"

namespace lpnsr::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

const std::vector<std::string> commands = {"table",    "figure",  "sweep",   "train",   "restore", "degrade", "crop",
                                           "evaluate", "forward", "inspect", "convert", "report",  "info"};

TEST(Program, HelpListsEveryCommandOnStdout) {
  const auto result = run_program({"--help"});
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.err, IsEmpty());
  for (const auto& command : commands) EXPECT_THAT(result.out, HasSubstr("  " + command + " "));
}

TEST(Program, EveryCommandExplainsItselfWithAnExample) {
  for (const auto& command : commands) {
    const auto result = run_program({command, "--help"});
    EXPECT_EQ(result.status, 0) << command << ": " << result.err;
    EXPECT_THAT(result.out, AllOf(StartsWith("Usage: lpnsr " + command), HasSubstr("Example:\n  lpnsr " + command))) << command;
    EXPECT_EQ(run_program({"help", command}).out, result.out);
  }
}

TEST(Program, NoCommandIsWrongUsage) {
  const auto result = run_program({});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.out, IsEmpty());
  EXPECT_THAT(result.err, HasSubstr("Usage: lpnsr COMMAND"));
}

TEST(Program, NamesTheNearestCommand) {
  const auto result = run_program({"restor"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.err, HasSubstr("unknown command 'restor'; did you mean 'restore'?"));
}

TEST(Program, RefusesUnknownOptionsOfEveryCommandAsWrongUsage) {
  for (const auto& command : commands) {
    const auto result = run_program({command, "--no-such-option=3"});
    EXPECT_EQ(result.status, 2) << command;
    EXPECT_THAT(result.out, IsEmpty()) << command;
    EXPECT_THAT(result.err, HasSubstr("unknown option '--no-such-option'")) << command;
  }
}

TEST(Program, NamesTheNearestOption) {
  const auto result = run_program({"info", "--thread", "1"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.err, HasSubstr("unknown option '--thread'; did you mean '--threads'?"));
}

TEST(Program, RefusesNegativeCounts) {
  const auto result = run_program({"info", "--threads", "-1"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.err, HasSubstr("--threads -1: 0 or more expected"));
}

TEST(Program, RefusesValuesOfTheWrongKind) {
  const auto result = run_program({"info", "--threads", "many"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.err, AllOf(HasSubstr("--threads"), HasSubstr("many")));
}

TEST(Program, RefusesSurplusArguments) {
  const auto result = run_program({"info", "photo.png"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.err, HasSubstr("unexpected argument 'photo.png'"));
}

TEST(Program, MissingFilesAreFailuresOfTheWork) {
  const auto result = run_program({"inspect", "/no/such/file.pth"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, AllOf(HasSubstr("/no/such/file.pth"), Not(HasSubstr("terminate"))));
}

TEST(Program, FaultsOfTheFileSystemAreWorded) {
  const std::string name(300, 'n');
  const auto result = run_program({"crop", "-i", name, "-o", "none"});
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.err, "lpnsr: " + name + ": File name too long\n");
}

TEST(Program, InfoIsReadableByMachines) {
  const auto result = run_program({"info", "--json", "--threads", "1"});
  ASSERT_EQ(result.status, 0) << result.err;
  const auto info = nlohmann::json::parse(result.out);
  EXPECT_EQ(info.at("threads"), 1);
  EXPECT_THAT(info.at("libraries").at("libtorch").get<std::string>(), StartsWith("2.11"));
  EXPECT_EQ(info.at("devices").at(0).at("device"), "cpu");
  EXPECT_THAT(run_program({"--version"}).out, HasSubstr(info.at("version").get<std::string>()));
}

TEST(Program, InfoIsReadableByPeople) {
  const auto result = run_program({"info"});
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.out, AllOf(HasSubstr("libtorch"), HasSubstr("threads"), HasSubstr("cpu")));
}

int shell(const std::string& command) {
  const int status = std::system(("bash -c '" + command + "'").c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Program, ResultsThatCannotBeWrittenAreAFailure) {
  EXPECT_EQ(shell("\"$LPNSR_PROGRAM\" info --json >/dev/full 2>/dev/null"), 1);
  EXPECT_EQ(shell("\"$LPNSR_PROGRAM\" --help >/dev/full 2>/dev/null"), 1);
}

TEST(Program, AReaderThatHasLeftIsNoCrash) {
  EXPECT_EQ(shell("(sleep 0.2; exec \"$LPNSR_PROGRAM\" --help) | true; exit ${PIPESTATUS[0]}"), 1);
}

}  // namespace
}  // namespace lpnsr::testing
