#include <csignal>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "core/error.h"
#include "core/files.h"
#include "tests/support/fixtures.h"

namespace lpnsr {
namespace {

namespace fs = std::filesystem;
using ::lpnsr::testing::TemporaryFolder;
using ::lpnsr::testing::write_text;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

TEST(WriteFile, ReplacesTheFileAndLeavesNothingElse) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a.bin", "old");
  std::string large(3'000'000, '\0');
  for (size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 7919 >> 3);
  write_file_atomically(folder / "a.bin", large);
  EXPECT_EQ(read_file(folder / "a.bin"), large);
  EXPECT_THAT(names_in(folder.path()), ElementsAre("a.bin"));
}

TEST(WriteFile, StreamTellsItsPosition) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a", [](std::ostream& stream) {
    stream << std::string(2'000'000, 'x') << "abc";
    EXPECT_EQ(stream.tellp(), std::streampos(2'000'003));
  });
  EXPECT_EQ(fs::file_size(folder / "a"), 2'000'003U);
}

TEST(WriteFile, AWriterThatThrowsLeavesTheOldFile) {
  const TemporaryFolder folder;
  write_text(folder / "a", "old");
  const auto fail = [](std::ostream& stream) {
    stream << "new";
    throw std::runtime_error("stop");
  };
  EXPECT_THROW(write_file_atomically(folder / "a", fail), std::runtime_error);
  EXPECT_EQ(read_file(folder / "a"), "old");
  EXPECT_THAT(names_in(folder.path()), ElementsAre("a"));
}

TEST(WriteFile, AFullDiskLeavesTheOldFile) {
  const TemporaryFolder folder;
  write_text(folder / "a", "old");
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{1 << 20, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  EXPECT_THROW_MESSAGE(write_file_atomically(folder / "a", std::string(5 << 20, 'x')), Error,
                       AllOf(HasSubstr((folder / "a").string()), HasSubstr("File too large")));
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(read_file(folder / "a"), "old");
  EXPECT_THAT(names_in(folder.path()), ElementsAre("a"));
}

TEST(WriteFile, WritesIntoDevicesInsteadOfReplacingThem) {
  EXPECT_THROW_MESSAGE(write_file_atomically("/dev/full", "x"), Error, AllOf(HasSubstr("/dev/full"), HasSubstr("No space left")));
  EXPECT_TRUE(fs::is_character_file("/dev/full"));
  const TemporaryFolder folder;
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  const pid_t child = fork();
  if (child == 0) _exit(read_file(folder / "pipe") == "through" ? 0 : 1);
  write_file_atomically(folder / "pipe", "through");
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(fs::is_fifo(folder / "pipe"));
}

TEST(WriteFile, KeepsALinkAndWritesTheFileBehindIt) {
  const TemporaryFolder folder;
  write_text(folder / "real/a", "old");
  fs::create_symlink(folder / "real/a", folder / "link");
  write_file_atomically(folder / "link", "new");
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(read_file(folder / "real/a"), "new");
}

TEST(WriteFile, SaysWhatIsInTheWay) {
  const TemporaryFolder folder;
  EXPECT_THROW_MESSAGE(write_file_atomically(folder.path(), "x"), Error, HasSubstr("it is a folder"));
  EXPECT_THROW_MESSAGE(write_file_atomically(folder / "none/a", "x"), Error,
                       AllOf(HasSubstr((folder / "none/a").string()), HasSubstr("there is no folder")));
}

TEST(PartialFile, TakesItsNameWhenItIsKept) {
  const TemporaryFolder folder;
  write_text(folder / "a", "old");
  {
    PartialFile dropped(folder / "a");
    dropped.write([](std::ostream& stream) { stream << "half"; });
    EXPECT_EQ(read_file(dropped.path()), "half");
    EXPECT_EQ(read_file(folder / "a"), "old");
  }
  EXPECT_THAT(names_in(folder.path()), ElementsAre("a"));
  PartialFile kept(folder / "a");
  write_text(kept.path(), "of another program");
  kept.keep();
  EXPECT_EQ(read_file(folder / "a"), "of another program");
  PartialFile late(folder / "b");
  fs::create_directory(folder / "b");
  EXPECT_THROW_MESSAGE(late.keep(), Error, HasSubstr((folder / "b").string() + ": cannot be written"));
}

TEST(WriteFile, LeftoversOfAKilledWriterCanBeRemoved) {
  const TemporaryFolder folder;
  const pid_t child = fork();
  if (child == 0) {
    write_file_atomically(folder / "a", [](std::ostream& stream) {
      stream << "half" << std::flush;
      raise(SIGKILL);
    });
    _exit(0);
  }
  waitpid(child, nullptr, 0);
  write_text(folder / "kept.partial", "");
  ASSERT_EQ(names_in(folder.path()).size(), 2U);
  EXPECT_FALSE(fs::exists(folder / "a"));
  remove_partial_files(folder.path());
  EXPECT_THAT(names_in(folder.path()), ElementsAre("kept.partial"));
}

// A process's number comes round again: after a kill in a container, and on another node of a shared file system.
TEST(WriteFile, PartialFilesOfAProcessWithTheSameNumberAreNotInTheWay) {
  const TemporaryFolder folder;
  constexpr int kWrites = 100;
  for (int i = 0; i < kWrites; ++i) write_text(folder / fmt::format(".a.{}-{}.partial", getpid(), i), "another's");
  const auto write_often = [&folder](int count) {
    for (int i = 0; i < count; ++i) write_file_atomically(folder / "a", "mine");
  };
  EXPECT_NO_THROW(write_often(kWrites));
  fs::remove(folder / "a");
  const auto names = names_in(folder.path());
  EXPECT_EQ(names.size(), size_t{kWrites});
  for (const auto& name : names) EXPECT_EQ(read_file(folder / name), "another's") << name;
}

TEST(WriteFile, TakesEveryNameThatTheFileSystemTakes) {
  const TemporaryFolder folder;
  const std::string longest(255, 'n');
  EXPECT_NO_THROW(write_file_atomically(folder / longest, "x"));
  EXPECT_THAT(names_in(folder.path()), ElementsAre(longest));
}

TEST(ReadFile, NamesThePath) {
  const TemporaryFolder folder;
  EXPECT_THROW_MESSAGE(read_file(folder / "none"), Error, AllOf(HasSubstr((folder / "none").string()), HasSubstr("No such file")));
  EXPECT_THROW_MESSAGE(read_file(folder.path()), Error, HasSubstr("is a folder"));
  write_text(folder / "empty", "");
  EXPECT_EQ(read_file(folder / "empty"), "");
  EXPECT_THAT(read_file("/proc/self/status"), HasSubstr("Pid:"));  // states a size of 0
}

TEST(OutputFolder, IsMadeWithItsParents) {
  const TemporaryFolder folder;
  make_output_folder(folder / "a/b/c");
  make_output_folder(folder / "a/b/c/");
  EXPECT_TRUE(fs::is_directory(folder / "a/b/c"));
}

TEST(OutputFolder, SaysWhyItCannotBe) {
  const TemporaryFolder folder;
  write_text(folder / "file", "x");
  EXPECT_THROW_MESSAGE(make_output_folder(folder / "file"), Error, HasSubstr("'" + (folder / "file").string() + "' is a file"));
  EXPECT_THROW_MESSAGE(make_output_folder(folder / "file/a/b"), Error, HasSubstr("'" + (folder / "file").string() + "' is a file"));
  EXPECT_THROW_MESSAGE(make_output_folder(""), Error, HasSubstr("empty"));
}

TEST(OutputFolder, OfAFile) {
  const TemporaryFolder folder;
  make_folder_of(folder / "a/b/scores.csv");
  EXPECT_TRUE(fs::is_directory(folder / "a/b"));
  EXPECT_FALSE(fs::exists(folder / "a/b/scores.csv"));
  make_folder_of("");
  make_folder_of("scores.csv");
  EXPECT_THROW_MESSAGE(make_folder_of(folder / "a"), Error, HasSubstr("is a folder"));
  EXPECT_THROW_MESSAGE(make_folder_of(folder / "new/"), Error, HasSubstr("is a folder"));
  write_text(folder / "file", "x");
  EXPECT_THROW_MESSAGE(make_folder_of(folder / "file/scores.csv"), Error, HasSubstr("is a file"));
}

TEST(OutputFolder, SaysThatItMayNot) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "closed");
  fs::permissions(folder.path(), fs::perms::all);
  fs::permissions(folder / "closed", fs::perms::owner_read | fs::perms::owner_exec | fs::perms::others_read | fs::perms::others_exec);
  constexpr uid_t kNobody = 65534;
  const bool root = geteuid() == 0;  // who may write everywhere
  ASSERT_EQ(root ? seteuid(kNobody) : 0, 0);
  EXPECT_THROW_MESSAGE(make_output_folder(folder / "closed"), Error, HasSubstr("Permission denied"));
  EXPECT_THROW_MESSAGE(make_output_folder(folder / "closed/a"), Error, HasSubstr("Permission denied"));
  EXPECT_THROW_MESSAGE(write_file_atomically(folder / "closed/b", "x"), Error, HasSubstr("Permission denied"));
  ASSERT_EQ(root ? seteuid(0) : 0, 0);
}

TEST(ListImages, ByExtensionInAnyCaseSorted) {
  const TemporaryFolder folder;
  for (const char* name : {"b.PNG", "a.jpg", "c.Jpeg", "d.bmp", "e.tif", "f.TIFF", "g.webp", "h.txt", "png", "i.png.part", "sub/j.png"}) {
    write_text(folder / name, "x");
  }
  fs::create_directory(folder / "folder.png");
  std::vector<std::string> names;
  for (const auto& path : list_images(folder.path(), false)) names.push_back(path.filename().string());
  EXPECT_THAT(names, ElementsAre("a.jpg", "b.PNG", "c.Jpeg", "d.bmp", "e.tif", "f.TIFF", "g.webp"));
  EXPECT_EQ(list_images(folder.path(), true).size(), 8U);
  EXPECT_THAT(list_images(folder / "a.jpg", false), ElementsAre(folder / "a.jpg"));
}

TEST(ListImages, FollowsLinksButNoLoops) {
  const TemporaryFolder folder;
  write_text(folder / "data/one/a.png", "x");
  write_text(folder / "elsewhere/b.png", "x");
  fs::create_directory_symlink(folder / "data", folder / "data/one/up");
  fs::create_directory_symlink(folder / "elsewhere", folder / "data/two");
  EXPECT_THAT(list_images(folder / "data", true), ElementsAre(folder / "data/one/a.png", folder / "data/two/b.png"));
}

TEST(ListImages, NamesWhatDoesNotExist) {
  const TemporaryFolder folder;
  EXPECT_THROW_MESSAGE(list_images(folder / "none", true), Error,
                       AllOf(HasSubstr((folder / "none").string()), HasSubstr("no such file or folder")));
}

}  // namespace
}  // namespace lpnsr
