#include "core/error.h"
#include "core/files.h"
#include "core/image.h"
#include "core/log.h"
#include "core/run_folder.h"
#include "tests/support/event_file.h"
#include "tests/support/fixtures.h"

namespace lpnsr {
namespace {

namespace fs = std::filesystem;
using ::lpnsr::testing::event_files;
using ::lpnsr::testing::parse_message;
using ::lpnsr::testing::read_events;
using ::lpnsr::testing::TemporaryFolder;
using ::lpnsr::testing::write_text;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

std::vector<std::string> lines_of(const fs::path& path) {
  std::istringstream text(read_file(path));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

TEST(RunFolder, HoldsConfigurationLogAndMetrics) {
  const TemporaryFolder folder;
  const fs::path path = folder / "runs/one";
  {
    RunFolder run(path, "seed = 1\n", 0);
    EXPECT_EQ(run.path(), path);
    log_info("started");
    run.metrics(1, {{"loss", 0.1 + 0.2}, {"rate", 5e-5}, {"bad", std::nan("")}, {"huge", INFINITY}});
    EXPECT_EQ(lines_of(path / "metrics.jsonl").size(), 1U);  // at once, not when the run ends
  }
  log_info("after the run");
  EXPECT_EQ(read_file(path / "config.toml"), "seed = 1\n");
  EXPECT_TRUE(fs::is_directory(path / "checkpoints"));
  EXPECT_TRUE(fs::is_directory(path / "samples"));
  EXPECT_THAT(lines_of(path / "log.txt"), ElementsAre(HasSubstr("started")));
  const auto entry = nlohmann::json::parse(read_file(path / "metrics.jsonl"));
  EXPECT_EQ(entry["step"], 1);
  EXPECT_EQ(entry["loss"].get<double>(), 0.1 + 0.2);
  EXPECT_EQ(entry["rate"].get<double>(), 5e-5);
  EXPECT_TRUE(entry["bad"].is_null());
  EXPECT_TRUE(entry["huge"].is_null());
  EXPECT_TRUE(read_file(path / "metrics.jsonl").starts_with("{\"step\":1,"));
  ASSERT_THAT(event_files(path), SizeIs(1));
  const auto events = read_events(event_files(path)[0]);
  ASSERT_EQ(events.size(), 6U);
  EXPECT_EQ(parse_message(parse_message(events[4].text(5)).text(1)).text(1), "loss");
}

TEST(RunFolder, AResumeDropsLaterStepsAndAHalfWrittenLine) {
  const TemporaryFolder folder;
  {
    RunFolder run(folder.path(), "a = 1\n", 0);
    for (int64_t step = 1; step <= 5; ++step) run.metrics(step, {{"loss", 1.0 / static_cast<double>(step)}});
  }
  const auto before = lines_of(folder / "metrics.jsonl");
  write_text(folder / "metrics.jsonl", read_file(folder / "metrics.jsonl") + "{\"step\":2,\"lo");
  write_text(partial_name_for(folder / "checkpoints/last.safetensors"), "half");
  write_text(folder / "checkpoints/.last.safetensors.123-0.partial", "half");  // the form that earlier versions left
  {
    RunFolder run(folder.path(), "a = 2\n", 3);
    run.metrics(4, {{"loss", 9.0}});
  }
  EXPECT_THAT(lines_of(folder / "metrics.jsonl"), ElementsAre(before[0], before[1], before[2], "{\"step\":4,\"loss\":9.0}"));
  EXPECT_EQ(read_file(folder / "config.toml"), "a = 2\n");
  EXPECT_TRUE(fs::is_empty(folder / "checkpoints"));
  EXPECT_THAT(event_files(folder.path()), SizeIs(2));
  RunFolder(folder.path(), "a = 3\n", 0);
  EXPECT_EQ(fs::file_size(folder / "metrics.jsonl"), 0U);
}

TEST(RunFolder, SamplesArePicturesOnDiskAndInTheEvents) {
  const TemporaryFolder folder;
  const at::Tensor picture = at::linspace(0, 1, 3 * 4 * 6).view({3, 4, 6});
  {
    RunFolder run(folder.path(), "", 0);
    run.sample(20, "validation", picture);
  }
  const Image back = read_image(folder / "samples/validation-20.png");
  EXPECT_TRUE(at::allclose(back.rgb, picture, 0.0, 0.5 / 255 + 1e-6));
  const auto events = read_events(event_files(folder.path())[0]);
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(events[2].number(2), 20U);
  const auto image = parse_message(parse_message(parse_message(events[2].text(5)).text(1)).text(4));
  EXPECT_EQ(image.number(1), 4U);
  EXPECT_EQ(image.number(2), 6U);
  EXPECT_EQ(image.text(4), read_file(folder / "samples/validation-20.png"));
}

TEST(RunFolder, AFileInTheWayIsNamed) {
  const TemporaryFolder folder;
  write_text(folder / "run", "");
  EXPECT_THROW_MESSAGE(RunFolder(folder / "run", "", 0), Error, HasSubstr("is a file"));
}

}  // namespace
}  // namespace lpnsr
