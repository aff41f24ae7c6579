#include <filesystem>

#include "core/files.h"
#include "core/image.h"
#include "tests/support/fixtures.h"
#include "tests/support/synthetic.h"

namespace lpnsr::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class CropCommand : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(folder_ / "in");
    write_rgb(folder_ / "in/a.png", synthetic_tensor("crop", "a", {3, 43, 50}, 0.5, 0.5));
    write_rgb(folder_ / "in/b.png", synthetic_tensor("crop", "b", {3, 32, 40}, 0.5, 0.5));
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  ProgramResult crop(const std::string& input, const std::string& output, const std::string& size = "32") const {
    return run_program({"crop", "-i", path(input), "-o", path(output), "--size", size});
  }
  TemporaryFolder folder_;
};

TEST_F(CropCommand, CutsEveryPicture) {
  const auto result = crop("in", "out");
  ASSERT_EQ(result.status, 0) << result.err;
  for (const std::string name : {"a.png", "b.png"}) {
    EXPECT_EQ(read_image(path("out/" + name)).rgb.sizes(), (std::vector<int64_t>{3, 32, 32}));
  }
  EXPECT_EQ(crop("in/a.png", "one", "1").status, 0) << "a single pixel has no texture, but can be cut out";
  EXPECT_EQ(read_image(path("one/a.png")).rgb.numel(), 3);
}

TEST_F(CropCommand, OverwritesNeitherPhotographsNorAnotherCrop) {
  const std::string before = read_file(path("in/a.png"));
  EXPECT_EQ(crop("in", "in").status, 2);
  std::filesystem::create_directories(path("links"));
  std::filesystem::create_symlink(path("in/a.png"), path("links/a.png"));
  EXPECT_EQ(crop("in/a.png", "links").status, 2);
  EXPECT_EQ(read_file(path("in/a.png")), before);
  write_rgb(path("in/a.jpg"), synthetic_tensor("crop", "c", {3, 40, 40}, 0.5, 0.5));
  const auto two = crop("in", "out");
  EXPECT_EQ(two.status, 2);
  EXPECT_THAT(two.err, HasSubstr("would both be written to"));
}

TEST_F(CropCommand, GoesOnPastADamagedPicture) {
  write_text(path("in/0.png"), "no picture");
  const auto result = crop("in", "out");
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, HasSubstr("1 of 3 pictures could not be cropped"));
  EXPECT_TRUE(std::filesystem::exists(path("out/b.png")));
  const auto alone = crop("in/0.png", "out");
  EXPECT_EQ(alone.status, 1);
  EXPECT_THAT(alone.err, AllOf(HasSubstr("in/0.png: "), Not(HasSubstr("1 of 1"))));
}

TEST_F(CropCommand, AnImpossibleOutputIsToldOnce) {
  write_text(path("file"), "");
  const auto result = crop("in", "file/out");
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, AllOf(HasSubstr("cannot be the output folder"), Not(HasSubstr("2 of 2"))));
}

}  // namespace
}  // namespace lpnsr::testing
