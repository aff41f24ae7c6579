#include "core/files.h"
#include "core/image.h"
#include "tests/support/fixtures.h"
#include "tests/support/synthetic.h"

namespace lpnsr::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

class CompareCommand : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const std::string folder : {"lq", "hr", "one", "two"}) {
      std::filesystem::create_directories(folder_ / folder);
      const int64_t side = folder == "lq" ? 6 : 24;
      for (const std::string name : {"a", "b"}) {
        write_rgb(folder_ / (folder + "/" + name + ".png"),
                  synthetic_tensor("compare", folder + name, {3, side, side + side / 3}, 0.5, 0.5));
      }
    }
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  ProgramResult compare(const std::vector<std::string>& more) const {
    std::vector<std::string> arguments{"compare", "-o", path("page.html")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(arguments);
  }
  TemporaryFolder folder_;
};

TEST_F(CompareCommand, EveryLayerOfEveryPictureOnOneSelfContainedPage) {
  const auto result = compare({"One=" + path("one"), "<Two>=" + path("two"), "-i", path("lq"), "--reference", path("hr")});
  ASSERT_EQ(result.status, 0) << result.err;
  const auto page = read_file(path("page.html"));
  EXPECT_EQ(count(page, "<figure class=\"slider\">"), 2);
  EXPECT_EQ(count(page, "data:image/png;base64,"), 2 * 5);
  EXPECT_THAT(page, AllOf(HasSubstr(">low resolution<"), HasSubstr(">bicubic<"), HasSubstr(">One<"), HasSubstr("&lt;Two&gt;"),
                          HasSubstr(">true picture<"), HasSubstr("type=\"range\""), Not(HasSubstr("<Two>"))));
  EXPECT_THAT(page, AllOf(Not(HasSubstr("src=\"http")), Not(HasSubstr("href"))));
}

TEST_F(CompareCommand, FoldersMayEndWithASlash) {
  const auto plain = compare({"One=" + path("one"), "Two=" + path("two"), "--reference", path("hr")});
  ASSERT_EQ(plain.status, 0) << plain.err;
  const auto page = read_file(path("page.html"));
  const auto result = compare({"One=" + path("one") + "/", "Two=" + path("two/"), "--reference", path("hr") + "//"});
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(read_file(path("page.html")), page);
}

TEST_F(CompareCommand, ThePartInTheMiddleIsShown) {
  ASSERT_EQ(compare({"One=" + path("one"), "-i", path("lq"), "--side", "8", "--shown", "1"}).status, 0);
  const auto page = read_file(path("page.html"));
  EXPECT_EQ(count(page, "<figure class=\"slider\">"), 1);
  EXPECT_THAT(page, HasSubstr("width:8px"));
  EXPECT_EQ(count(page, "<img"), 3);
  ASSERT_EQ(compare({"One=" + path("one/a.png"), "--side", "0"}).status, 0);
  EXPECT_THAT(read_file(path("page.html")), HasSubstr("width:32px"));
}

TEST_F(CompareCommand, SaysWhatDoesNotBelongTogether) {
  std::filesystem::remove(folder_ / "two/b.png");
  const auto missing = compare({"One=" + path("one"), "Two=" + path("two")});
  EXPECT_EQ(missing.status, 1);
  EXPECT_THAT(missing.err, AllOf(HasSubstr("'Two'"), HasSubstr("b.png")));
  write_rgb(folder_ / "two/b.png", torch::zeros({3, 5, 5}));
  EXPECT_THAT(compare({"One=" + path("one"), "Two=" + path("two")}).err, HasSubstr("only pictures of one size"));
  EXPECT_EQ(compare({"just a folder"}).status, 2);
  EXPECT_EQ(compare({}).status, 2);
}

}  // namespace
}  // namespace lpnsr::testing
