#include <filesystem>
#include <new>

#include <c10/util/Exception.h>
#include <gmock/gmock.h>

#include "core/error.h"

namespace lpnsr {
namespace {

TEST(NearestName, FindsMisspellings) {
  EXPECT_EQ(nearest_name("learning_rat", {"learning_rate", "batch_size"}), "learning_rate");
  EXPECT_EQ(nearest_name("barch_size", {"learning_rate", "batch_size"}), "batch_size");
  EXPECT_EQ(nearest_name("setp", {"step", "spare"}), "step");
  EXPECT_EQ(nearest_name("tset", {"test"}), "test");
}

TEST(NearestName, IsSilentWhereNothingIsNear) { EXPECT_EQ(nearest_name("colour", {"learning_rate", "batch_size"}), ""); }

TEST(DidYouMean, ReadsAsTheEndOfASentence) { EXPECT_EQ(did_you_mean("stepz", {"steps"}), "; did you mean 'steps'?"); }

// A name that is known is refused for something else.
TEST(DidYouMean, IsNotAskedOfTheNameItself) { EXPECT_EQ(did_you_mean("steps", {"steps", "step"}), ""); }

TEST(MessageOf, SaysWhatFailedWithoutJargon) {
  const auto refused = std::make_error_code(std::errc::permission_denied);
  EXPECT_EQ(message_of(std::filesystem::filesystem_error("cannot rename", "a/b", "c", refused)), "a/b and c: Permission denied");
  EXPECT_EQ(message_of(std::filesystem::filesystem_error("status", "a/b", refused)), "a/b: Permission denied");
  EXPECT_EQ(message_of(std::filesystem::filesystem_error("current_path", refused)), "Permission denied");
  EXPECT_EQ(message_of(std::bad_alloc()), "out of memory");
  EXPECT_EQ(message_of(c10::Error({"f", "file.cpp", 1}, "shapes differ")), "LibTorch: shapes differ");
  EXPECT_EQ(message_of(UsageError("as it is")), "as it is");
}

}  // namespace
}  // namespace lpnsr
