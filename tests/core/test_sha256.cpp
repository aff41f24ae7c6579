#include "core/error.h"
#include "core/sha256.h"
#include "tests/support/fixtures.h"

namespace lpnsr::testing {
namespace {

std::string hash_of(const std::string& text) {
  Sha256 hash;
  hash.add(text);
  return hash.hexadecimal();
}

// Examples of FIPS 180-4's supplement (NIST, "SHA256.pdf", and the test vectors of the Cryptographic Algorithm Validation Program).
TEST(Sha256, EqualsThePublishedExamples) {
  EXPECT_EQ(hash_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hash_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hash_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(hash_of(std::string(1'000'000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, PiecesGiveTheSame) {
  const std::string text(1000, 'x');
  for (const size_t step : {1, 55, 56, 63, 64, 65, 129}) {
    Sha256 hash;
    for (size_t at = 0; at < text.size(); at += step) hash.add(std::string_view(text).substr(at, step));
    EXPECT_EQ(hash.hexadecimal(), hash_of(text)) << step;
  }
}

TEST(Sha256, OfAFile) {
  const TemporaryFolder folder;
  write_text(folder / "a", std::string(3'000'000, 'z'));
  EXPECT_EQ(sha256_of_file(folder / "a"), hash_of(std::string(3'000'000, 'z')));
  EXPECT_THROW(sha256_of_file(folder / "b"), Error);
}

}  // namespace
}  // namespace lpnsr::testing
