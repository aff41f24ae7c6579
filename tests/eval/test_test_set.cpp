// Data sets as users have them on disk.
#include <fmt/format.h>

#include "core/error.h"
#include "core/image.h"
#include "eval/test_set.h"
#include "tests/support/fixtures.h"

namespace lpnsr::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class TestSetTest : public ::testing::Test {
 protected:
  void save(const std::string& name, int64_t height, int64_t width) {
    std::filesystem::create_directories((folder_ / name).parent_path());
    write_rgb(folder_ / name, torch::zeros({3, height, width}));
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  static std::vector<std::string> names(const std::vector<TestPicture>& pictures) {
    std::vector<std::string> result;
    for (const auto& picture : pictures) result.push_back(picture.name);
    return result;
  }
  TemporaryFolder folder_;
};

TEST_F(TestSetTest, RealSRsLayoutOfTwoCamerasWithBothSidesInOneFolder) {
  for (const std::string camera : {"Nikon", "Canon"}) {
    for (const std::string number : {"002", "001"}) {
      save(camera + "/Test/4/" + camera + "_" + number + "_LR4.png", 2, 3);
      save(camera + "/Test/4/" + camera + "_" + number + "_HR.png", 8, 12);
    }
  }
  TestSet set;
  set.name = "RealSR";
  set.low = set.high = {path("Nikon/Test/4"), path("Canon/Test/4")};
  set.pictures = 4;
  const auto pictures = find_test_pictures(set);
  EXPECT_EQ(names(pictures), (std::vector<std::string>{"Canon_001_LR4", "Canon_002_LR4", "Nikon_001_LR4", "Nikon_002_LR4"}));
  EXPECT_EQ(pictures[3].high.filename(), "Nikon_002_HR.png");
  EXPECT_TRUE(check_test_set(set, 2, [](int64_t) {}).faults.empty());
  set.only = {"Nikon_001_LR4"};
  EXPECT_EQ(names(find_test_pictures(set)), set.only);
  set.only = {"Nikon_001_LR5"};
  EXPECT_THROW_MESSAGE(find_test_pictures(set), Error, HasSubstr("did you mean 'Nikon_001_LR4'?"));
}

TEST_F(TestSetTest, WhatIsMissingIsNamedWithItsSource) {
  TestSet set;
  set.name = "Set";
  set.source = "https://example.org";
  set.low = {path("lq")};
  set.high = {path("gt")};
  EXPECT_THROW_MESSAGE(find_test_pictures(set), Error, AllOf(HasSubstr("lq"), HasSubstr("gt"), HasSubstr("https://example.org")));
  save("lq/a.png", 2, 2);
  save("lq/b.png", 2, 2);
  save("gt/a.png", 8, 8);
  EXPECT_THROW_MESSAGE(find_test_pictures(set), Error, AllOf(HasSubstr("b.png"), HasSubstr("https://example.org")));
  set.high.clear();
  EXPECT_EQ(find_test_pictures(set).size(), 2u);
  set.first = 1;
  EXPECT_EQ(names(find_test_pictures(set)), (std::vector<std::string>{"a"}));
}

TEST_F(TestSetTest, PicturesOfOneNameAreRefused) {
  save("one/a.png", 2, 2);
  save("two/a.png", 2, 2);
  TestSet set;
  set.name = "Set";
  set.low = {path("one"), path("two")};
  EXPECT_THROW_MESSAGE(find_test_pictures(set), Error, HasSubstr("have one name"));
}

}  // namespace
}  // namespace lpnsr::testing
