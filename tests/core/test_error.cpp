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

}  // namespace
}  // namespace lpnsr
