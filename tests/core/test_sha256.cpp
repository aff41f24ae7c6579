#include "core/error.h"
#include "core/sha256.h"
#include "tests/support/fixtures.h"

namespace lpnsr {
namespace {

// FIPS 180-2, appendix B.
TEST(Sha256, PublishedVectors) {
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256(std::string(1000000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Sha256, OfAFile) {
  const testing::TemporaryFolder folder;
  const std::string text(3 * 1024 * 1024 + 17, 'x');
  testing::write_text(folder / "file", text);
  EXPECT_EQ(sha256_of_file(folder / "file"), sha256(text));
  EXPECT_THROW_MESSAGE(sha256_of_file(folder / "none"), Error, ::testing::HasSubstr("none"));
}

}  // namespace
}  // namespace lpnsr
