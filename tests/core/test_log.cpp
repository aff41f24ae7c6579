#include <thread>

#include "core/error.h"
#include "core/files.h"
#include "core/log.h"
#include "tests/support/fixtures.h"

namespace lpnsr {
namespace {

using ::lpnsr::testing::TemporaryFolder;
using ::lpnsr::testing::write_text;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

std::string stderr_of(const std::function<void()>& work) {
  ::testing::internal::CaptureStderr();
  work();
  return ::testing::internal::GetCapturedStderr();
}

TEST(Log, PlainLinesThatMarkWarningsAndErrors) {
  EXPECT_EQ(stderr_of([] { log_info("{} of {}", 1, 2); }), "1 of 2\n");
  EXPECT_EQ(stderr_of([] { log_warning("odd: {}", "{}"); }), "warning: odd: {}\n");
  EXPECT_EQ(stderr_of([] { log_message(LogLevel::error, "bad"); }), "error: bad\n");
  EXPECT_EQ(stderr_of([] { log_message(LogLevel::debug, "detail"); }), "");
}

TEST(Log, LevelHidesWhatIsBelow) {
  set_log_level(LogLevel::warning);
  EXPECT_EQ(stderr_of([] {
              log_info("quiet");
              Progress progress("work", 2);
              progress.advance(2);
            }),
            "");
  EXPECT_EQ(stderr_of([] { log_warning("heard"); }), "warning: heard\n");
  set_log_level(LogLevel::info);
}

TEST(Log, FileIsAppendedToWhileAttached) {
  const TemporaryFolder folder;
  write_text(folder / "log.txt", "before\n");
  stderr_of([&] {
    attach_log_file(folder / "log.txt");
    log_info("first");
    log_warning("second");
    detach_log_file();
    log_info("third");
  });
  const std::string text = read_file(folder / "log.txt");
  EXPECT_THAT(text, MatchesRegex("before\n[-0-9]+ [:0-9]+ first\n[-0-9]+ [:0-9]+ warning: second\n"));
  EXPECT_THROW_MESSAGE(attach_log_file(folder / "none/log.txt"), Error, HasSubstr((folder / "none/log.txt").string()));
}

TEST(Log, LinesOfManyThreadsStayWhole) {
  const TemporaryFolder folder;
  stderr_of([&] {
    attach_log_file(folder / "log.txt");
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([i] {
        for (int k = 0; k < 50; ++k) log_info("thread {} says {}", i, std::string(100, 'x'));
      });
    }
    for (auto& thread : threads) thread.join();
    detach_log_file();
  });
  std::istringstream lines(read_file(folder / "log.txt"));
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) EXPECT_THAT(line, MatchesRegex(".* thread [0-3] says x+"));
  EXPECT_EQ(count, 200);
}

TEST(Progress, PlainLineWithCountRateAndTimeWhereThereIsNoTerminal) {
  const std::string text = stderr_of([] {
    Progress progress("training", 10, 4, "step");
    for (int i = 0; i < 6; ++i) progress.advance(1, "loss 0.5");
    progress.finish();
    progress.finish();
  });
  EXPECT_THAT(text, MatchesRegex("training: 10/10 \\(100%\\), [0-9.e+]+ step/s, 00:00, loss 0\\.5\n"));
  EXPECT_THAT(text, Not(HasSubstr("\r")));
}

TEST(Progress, UnknownTotalAndAnEndBeforeTheTotal) {
  EXPECT_THAT(stderr_of([] { Progress("reading", 0).advance(3); }), MatchesRegex("reading: 3, .* it/s, 00:00\n"));
  EXPECT_THAT(stderr_of([] { Progress("reading", 10).advance(3); }), HasSubstr("reading: 3/10 (30%)"));
}

}  // namespace
}  // namespace lpnsr
