#include <bit>

#include "core/error.h"
#include "core/tensorboard.h"
#include "tests/support/event_file.h"
#include "tests/support/fixtures.h"

namespace lpnsr {
namespace {

using ::lpnsr::testing::event_files;
using ::lpnsr::testing::Message;
using ::lpnsr::testing::parse_message;
using ::lpnsr::testing::read_events;
using ::lpnsr::testing::TemporaryFolder;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// RFC 3720, B.4, and the check value of CRC catalogues.
TEST(Crc32c, CheckValues) {
  EXPECT_EQ(crc32c(""), 0U);
  EXPECT_EQ(crc32c("123456789"), 0xE3069283U);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAU);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62A8AB43U);
  std::string ascending;
  for (char i = 0; i < 32; ++i) ascending += i;
  EXPECT_EQ(crc32c(ascending), 0x46DD794EU);
}

TEST(EventWriter, RecordsReadBack) {
  const TemporaryFolder folder;
  EventWriter writer(folder.path());
  writer.scalar("loss/total", 300, 0.1F);
  writer.png("sample", 5'000'000'000, std::string("\x89PNG\0\n", 6), 16, 300);
  ASSERT_THAT(event_files(folder.path()), SizeIs(1));
  EXPECT_EQ(event_files(folder.path())[0], writer.path());
  const std::vector<Message> events = read_events(writer.path());
  ASSERT_EQ(events.size(), 4U);
  EXPECT_EQ(events[0].text(3), "brain.Event:2");
  EXPECT_NEAR(std::bit_cast<double>(events[0].number(1)), static_cast<double>(std::time(nullptr)), 60.0);
  EXPECT_EQ(parse_message(events[1].text(7)).number(1), 1U);  // SessionLog START
  EXPECT_EQ(events[1].number(2), 0U);

  EXPECT_EQ(events[2].number(2), 300U);
  const Message scalar = parse_message(parse_message(events[2].text(5)).text(1));
  EXPECT_EQ(scalar.text(1), "loss/total");
  EXPECT_EQ(std::bit_cast<float>(static_cast<uint32_t>(scalar.number(2))), 0.1F);

  EXPECT_EQ(events[3].number(2), 5'000'000'000U);
  const Message value = parse_message(parse_message(events[3].text(5)).text(1));
  EXPECT_EQ(value.text(1), "sample");
  const Message image = parse_message(value.text(4));
  EXPECT_EQ(image.number(1), 16U);
  EXPECT_EQ(image.number(2), 300U);
  EXPECT_EQ(image.number(3), 3U);
  EXPECT_EQ(image.text(4), std::string("\x89PNG\0\n", 6));
}

TEST(EventWriter, AResumeStartsASessionAtTheNextStep) {
  const TemporaryFolder folder;
  const EventWriter first(folder.path()), second(folder.path(), 40);
  EXPECT_THAT(event_files(folder.path()), SizeIs(2));
  const std::vector<Message> events = read_events(second.path());
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[1].number(2), 41U);
  EXPECT_EQ(parse_message(events[1].text(7)).number(1), 1U);
}

TEST(EventWriter, SaysWhereItCannotWrite) {
  const TemporaryFolder folder;
  EXPECT_THROW_MESSAGE(EventWriter(folder / "none"), Error, HasSubstr((folder / "none").string()));
}

}  // namespace
}  // namespace lpnsr
