#include <zlib.h>

#include "core/error.h"
#include "core/zip_archive.h"
#include "tests/support/fault.h"
#include "tests/support/fixtures.h"

namespace lpnsr::testing {
namespace {

using ::testing::HasSubstr;

std::string number(uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text.push_back(static_cast<char>(value >> (8 * i) & 0xff));
  return text;
}

std::string deflate_raw(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<unsigned char*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<unsigned>(text.size());
  stream.next_out = reinterpret_cast<unsigned char*>(packed.data());
  stream.avail_out = static_cast<unsigned>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

struct Entry {
  std::string name, content;
  bool deflated = false;
  bool zip64 = false;
  uint64_t flags = 0;
  int64_t size_change = 0;                        // written size minus the true one
  std::optional<uint64_t> header = std::nullopt;  // another place than the true one
};

// An archive put together by hand from APPNOTE's records, so that each of its numbers can be made wrong.
std::string archive(const std::vector<Entry>& entries, const std::string& comment = "") {
  std::string bytes, directory;
  for (const Entry& entry : entries) {
    const std::string data = entry.deflated ? deflate_raw(entry.content) : entry.content;
    const uint64_t crc = crc32_z(0, reinterpret_cast<const unsigned char*>(entry.content.data()), entry.content.size());
    const uint64_t size = entry.content.size() + static_cast<uint64_t>(entry.size_change), header = entry.header.value_or(bytes.size());
    const std::string common = number(20, 2) + number(entry.flags, 2) + number(entry.deflated ? 8 : 0, 2) + number(0, 4) + number(crc, 4);
    const std::string sizes = entry.zip64 ? number(0xffffffffffffffff, 8) : number(data.size(), 4) + number(size, 4);
    const std::string extra =
        entry.zip64 ? number(1, 2) + number(24, 2) + number(size, 8) + number(data.size(), 8) + number(header, 8) : "";
    directory += number(0x02014b50, 4) + number(20, 2) + common + sizes + number(entry.name.size(), 2) + number(extra.size(), 2) +
                 number(0, 2) + number(0, 8) + number(entry.zip64 ? 0xffffffff : header, 4) + entry.name + extra;
    bytes += number(0x04034b50, 4) + common + sizes + number(entry.name.size(), 2) + number(5, 2) + entry.name + "extra" + data;
  }
  const uint64_t start = bytes.size();
  return bytes + directory + number(0x06054b50, 4) + number(0, 4) + number(entries.size(), 2) + number(entries.size(), 2) +
         number(directory.size(), 4) + number(start, 4) + number(comment.size(), 2) + comment;
}

std::string read_all(const std::string& bytes) {
  const auto source = memory_source(bytes, "x.zip");
  const ZipArchive zip(*source);
  std::string all;
  for (const auto& [name, entry] : zip.entries()) all += name + "=" + zip.read_text(name, entry) + ";";
  return all;
}

TEST(ZipArchive, ReadsStoredAndDeflatedEntries) {
  const std::string packed(700000, 'x');  // longer than the reader's pieces
  EXPECT_EQ(read_all(archive(
                {{.name = "a", .content = "one"}, {.name = "b", .content = packed, .deflated = true}, {.name = "c", .content = ""}})),
            "a=one;b=" + packed + ";c=;");
}

TEST(ZipArchive, ReadsZip64Sizes) { EXPECT_EQ(read_all(archive({{.name = "a", .content = "one", .zip64 = true}})), "a=one;"); }

TEST(ZipArchive, ReadsADirectoryBeforeAComment) {
  EXPECT_EQ(read_all(archive({{.name = "a", .content = "one"}}, "PK\5\6 is no record")), "a=one;");
}

TEST(ZipArchive, FindsByName) {
  const std::string bytes = archive({{.name = "a/b", .content = "one"}});
  const auto source = memory_source(bytes, "x.zip");
  const ZipArchive zip(*source);
  EXPECT_NE(zip.find("a/b"), nullptr);
  EXPECT_EQ(zip.find("a"), nullptr);
}

class HostileZip : public ::testing::TestWithParam<Fault> {};

TEST_P(HostileZip, IsRefused) { EXPECT_THROW_MESSAGE(read_all(GetParam().bytes), DataError, HasSubstr(GetParam().message)); }

std::string with_damaged(const std::string& bytes, const std::string& what) {
  std::string damaged = bytes;
  damaged[damaged.find(what)] ^= 1;
  return damaged;
}

std::string with_end_record(const std::string& record) { return "PK\3\4" + std::string(100, '\0') + record; }

INSTANTIATE_TEST_SUITE_P(
    Faults, HostileZip,
    ::testing::Values(
        Fault{"NoDirectory", "PK\3\4" + std::string(50, 'x'), "truncated"},
        Fault{"DamagedData", with_damaged(archive({{.name = "a", .content = "content"}}), "content"), "CRC-32"},
        Fault{"DamagedDeflate",
              with_damaged(archive({{.name = "a", .content = std::string(999, 'y'), .deflated = true}}), "extra")
                  .replace(36, 3, "\xff\xff\xff"),
              "decompressed"},
        Fault{"Encrypted", archive({{.name = "a", .content = "x", .flags = 1}}), "encrypted"},
        Fault{"SameNameTwice", archive({{.name = "a", .content = "x"}, {.name = "a", .content = "y"}}), "twice"},
        Fault{"EntriesOverOneAnother", archive({{.name = "a", .content = "x"}, {.name = "b", .content = "y", .header = 0}}), "overlaps"},
        Fault{"HeaderPastTheEnd", archive({{.name = "a", .content = "x", .header = 5000}}), "too early"},
        Fault{"HeaderAtTheEndOf64Bits", archive({{.name = "a", .content = "x", .zip64 = true, .header = ~uint64_t{0}}}), "too early"},
        Fault{"StoredLargerThanItsData", archive({{.name = "a", .content = "x", .size_change = 100}}), "cannot have"},
        Fault{"GrowsBeyondDeflate", archive({{.name = "a", .content = "xyz", .deflated = true, .size_change = 100'000'000}}),
              "cannot have"},
        Fault{"DeflatedShorterThanWritten", archive({{.name = "a", .content = "xyz", .deflated = true, .size_change = 10}}),
              "decompressed"},
        Fault{"DeflatedLongerThanWritten", archive({{.name = "a", .content = "xyz", .deflated = true, .size_change = -1}}), "decompressed"},
        Fault{"DirectoryOf4GiB",
              with_end_record(number(0x06054b50, 4) + number(0, 4) + number(1, 4) + number(0xfffffff0, 4) + number(0, 4) + number(0, 2)),
              "too early"},
        Fault{"MoreEntriesThanDirectory",
              with_end_record(number(0x06054b50, 4) + number(0, 4) + number(0xffff, 2) + number(0xffff, 2) + number(46, 4) + number(0, 4) +
                              number(0, 2)),
              "damaged"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(ZipArchive, CutAtEveryByteIsRefused) {
  const std::string bytes = archive({{.name = "a", .content = "one"}, {.name = "b", .content = std::string(100, 'x'), .deflated = true}});
  for (size_t length = 0; length < bytes.size(); ++length) EXPECT_THROW(read_all(bytes.substr(0, length)), DataError) << length;
}

}  // namespace
}  // namespace lpnsr::testing
