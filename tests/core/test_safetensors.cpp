#include <sstream>

#include "core/checkpoint.h"
#include "core/error.h"
#include "core/files.h"
#include "core/safetensors.h"
#include "tests/support/fault.h"
#include "tests/support/fixtures.h"

namespace lpnsr::testing {
namespace {

using ::testing::HasSubstr;

// The bytes of a file with this header and `data` zero bytes after it.
std::string file_of(const std::string& header, size_t data) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(header.size() >> (8 * i) & 0xff));
  return bytes + header + std::string(data, '\0');
}

SafetensorsContent parsed(const std::string& bytes) { return parse_safetensors(*memory_source(bytes, "x.safetensors")); }

std::string written(const StateDict& tensors, const std::map<std::string, std::string>& metadata = {}) {
  std::ostringstream out;
  write_safetensors(out, tensors, metadata);
  return out.str();
}

StateDict sample() {
  StateDict tensors;
  tensors.add("half", torch::tensor({1.5F, -2.0F, 0.25F}).to(at::kHalf));
  tensors.add("wide", torch::tensor({1.0, 1e-300}, at::kDouble));
  tensors.add("view", torch::arange(6, at::kFloat).view({2, 3}).t());
  tensors.add("flag", torch::tensor({true, false, true}));
  tensors.add("scalar", torch::tensor(int64_t{-7}));
  tensors.add("empty", torch::empty({0, 3}));
  tensors.add("brain", torch::tensor({3.0F}).to(at::kBFloat16));
  return tensors;
}

TEST(Safetensors, ReadsWhatItWrote) {
  const StateDict tensors = sample();
  const SafetensorsContent content = parsed(written(tensors, {{"case", "{\"a\": \"ü\\n\"}"}}));
  ASSERT_EQ(content.tensors.size(), tensors.size());
  auto original = tensors.begin();
  for (const auto& [key, value] : content.tensors) {
    EXPECT_EQ(key, original->first);
    EXPECT_EQ(value.scalar_type(), original->second.scalar_type()) << key;
    EXPECT_TRUE(torch::equal(value, original->second)) << key;
    ++original;
  }
  EXPECT_EQ(content.metadata.at("case"), "{\"a\": \"ü\\n\"}");
}

TEST(Safetensors, MappedTensorsLieInTheFileAndChangesStayOut) {
  const TemporaryFolder folder;
  write_safetensors(folder / "w.safetensors", sample());
  const std::string bytes = read_file(folder / "w.safetensors");
  auto mapped = read_safetensors(folder / "w.safetensors", FileAccess::mapped).tensors;
  std::filesystem::remove(folder / "w.safetensors");  // what is mapped stays
  for (const auto& [key, value] : sample()) EXPECT_TRUE(torch::equal(mapped.at(key), value)) << key;

  write_text(folder / "w.safetensors", bytes);
  at::Tensor view = read_safetensors(folder / "w.safetensors", FileAccess::mapped).tensors.at("view");
  view.fill_(9);
  EXPECT_TRUE(view.eq(9).all().item<bool>());
  EXPECT_EQ(read_file(folder / "w.safetensors"), bytes);

  // A header whose length is no multiple of 4: the numbers lie askew and are copied.
  const std::string header = "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}} ";
  ASSERT_NE(header.size() % 4, 0u);
  write_text(folder / "askew.safetensors", file_of(header, 8));
  EXPECT_TRUE(torch::equal(read_safetensors(folder / "askew.safetensors", FileAccess::mapped).tensors.at("a"), torch::zeros({2})));
}

// By the format's description: little-endian length, a header that ends at a multiple of 8, the data of the first tensor right after it.
TEST(Safetensors, BytesAreThoseOfTheFormat) {
  StateDict tensors;
  tensors.add("a", torch::tensor({1.0F, 2.0F}));
  const std::string header = "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}";
  const std::string padded = header + std::string((8 - header.size() % 8) % 8, ' ');
  std::string expected = file_of(padded, 8);
  expected.replace(expected.size() - 8, 8, std::string("\x00\x00\x80\x3f\x00\x00\x00\x40", 8));
  EXPECT_EQ(written(tensors), expected);
}

TEST(Safetensors, WritingIsDeterministicAndAligned) {
  EXPECT_EQ(written(sample(), {{"b", "1"}, {"a", "2"}}), written(sample(), {{"a", "2"}, {"b", "1"}}));
  const std::string bytes = written(sample());
  const uint64_t length = memory_source(bytes, "")->read_little_endian(0, 8);
  EXPECT_EQ(length % 8, 0U);
  const nlohmann::json header = nlohmann::json::parse(bytes.substr(8, length));
  for (const auto& [key, entry] : header.items()) {
    const uint64_t begin = entry["data_offsets"][0];
    EXPECT_EQ(begin % sample().at(key).element_size(), 0U) << key;
  }
}

TEST(Safetensors, FilesAreWrittenAndReadByPath) {
  TemporaryFolder folder;
  write_safetensors(folder / "w.safetensors", sample(), {{"format", "pt"}});
  const WeightsFile file = read_safetensors(folder / "w.safetensors");
  EXPECT_EQ(file.format, "safetensors");
  EXPECT_EQ(file.metadata.at("format"), "pt");
  EXPECT_EQ(file.tensors.size(), sample().size());
  EXPECT_THROW_MESSAGE(read_safetensors(folder / "none.safetensors"), Error, HasSubstr("none.safetensors"));
}

TEST(Safetensors, TruthValuesAreZeroOrOne) {
  std::string bytes = file_of("{\"f\":{\"dtype\":\"BOOL\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2);
  bytes.back() = '\x40';
  EXPECT_EQ(parsed(bytes).tensors.at("f").sum().item<int64_t>(), 1);
}

class HostileSafetensors : public ::testing::TestWithParam<Fault> {};

TEST_P(HostileSafetensors, IsRefused) { EXPECT_THROW_MESSAGE(parsed(GetParam().bytes), DataError, HasSubstr(GetParam().message)); }

const std::string good_a = "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}";
std::string nested(int depth) { return std::string("{\"a\":").append(static_cast<size_t>(depth), '['); }

INSTANTIATE_TEST_SUITE_P(
    Faults, HostileSafetensors,
    ::testing::Values(
        Fault{"Empty", "", "too early"}, Fault{"ShorterThanTheLength", std::string("\x10\0\0", 3), "too early"},
        Fault{"HeaderOf2To60Bytes", std::string("\0\0\0\0\0\0\0\x10{}", 10), "longer than"},
        Fault{"HeaderPastTheEnd", std::string("\xff\0\0\0\0\0\0\0{}", 10), "truncated"},
        Fault{"NoObject", file_of("[1,2]", 0), "begin with '{'"}, Fault{"NoJson", file_of("{\"a\": !}", 0), "not JSON"},
        Fault{"TextAfterTheObject", file_of("{} {}", 0), "not JSON"}, Fault{"HalfAnObject", file_of("{\"a\":{", 0), "not JSON"},
        Fault{"OverflowingShape", file_of(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,0]}})", 0),
              "does not fit its shape"},
        Fault{"OverflowingEmptyShape", file_of(R"({"a":{"dtype":"F32","shape":[0,9223372036854775807,8],"data_offsets":[0,0]}})", 0),
              "does not fit"},
        Fault{"ShapeBeyond64Bits", file_of(R"({"a":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,0]}})", 0), "too large"},
        Fault{"NegativeShape", file_of(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8), "negative"},
        Fault{"FractionalShape", file_of(R"({"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})", 8), "not whole"},
        Fault{"ShapeThatIsText", file_of(R"({"a":{"dtype":"F32","shape":"2","data_offsets":[0,8]}})", 8), "text"},
        Fault{"OffsetsPastTheEnd", file_of(R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})", 8), "truncated"},
        Fault{"OffsetsBackwards", file_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8), "backwards"},
        Fault{"OneOffset", file_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8]}})", 8), "data_offsets"},
        Fault{"Overlap", file_of("{" + good_a + R"(,"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", 12), "overlaps"},
        Fault{"Gap", file_of("{" + good_a + R"(,"b":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}})", 16), "gap"},
        Fault{"BytesLeftOver", file_of("{" + good_a + "}", 12), "belong to no tensor"},
        Fault{"SizeOfAnotherType", file_of(R"({"a":{"dtype":"F16","shape":[2],"data_offsets":[0,8]}})", 8), "does not fit its shape"},
        Fault{"UnknownType", file_of(R"({"a":{"dtype":"Q4","shape":[2],"data_offsets":[0,8]}})", 8), "Q4"},
        Fault{"NoType", file_of(R"({"a":{"shape":[2],"data_offsets":[0,8]}})", 8), "no 'dtype'"},
        Fault{"SurplusField", file_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"note":"x"}})", 8), "text"},
        Fault{"KeyTwice", file_of("{" + good_a + "," + good_a + "}", 8), "twice"},
        Fault{"FieldTwice", file_of(R"({"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8), "twice"},
        Fault{"MetadataThatIsNoText", file_of(R"({"__metadata__":{"a":1}})", 0), "number"},
        Fault{"EntryThatIsANumber", file_of(R"({"a":1})", 0), "number"}, Fault{"DeepLists", file_of(nested(1000000), 0), "list"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(Safetensors, CutAtEveryByteIsRefused) {
  const std::string bytes = written(sample(), {{"a", "b"}});
  for (size_t length = 0; length < bytes.size(); ++length) EXPECT_THROW(parsed(bytes.substr(0, length)), DataError) << length;
}

TEST(Safetensors, NamesThatCannotBeWrittenAreRefused) {
  StateDict reserved, broken;
  reserved.add("__metadata__", torch::zeros(1));
  broken.add("\xff\xfe", torch::zeros(1));
  EXPECT_THROW_MESSAGE(written(reserved), Error, HasSubstr("__metadata__"));
  EXPECT_THROW_MESSAGE(written(broken), Error, HasSubstr("UTF-8"));
}

TEST(ReadWeights, AHeaderLengthThatLooksLikeAPickleIsNone) {
  // 0x80 is both the first byte of a pickle and the low byte of a header of 128 bytes.
  std::string header = "{" + good_a + "}";
  header.resize(128, ' ');
  TemporaryFolder folder;
  write_text(folder / "w.bin", file_of(header, 8));
  EXPECT_EQ(read_weights(folder / "w.bin").format, "safetensors");
}

TEST(ReadWeights, OtherFilesAreToldByName) {
  TemporaryFolder folder;
  write_text(folder / "pointer.pth", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
  write_text(folder / "noise.pth", "abcdefghijklmnop");
  EXPECT_THROW_MESSAGE(read_weights(folder / "pointer.pth"), DataError, HasSubstr("Git LFS"));
  EXPECT_THROW_MESSAGE(read_weights(folder / "noise.pth"), DataError, HasSubstr("neither"));
  EXPECT_THROW_MESSAGE(read_weights(folder.path()), DataError, HasSubstr("not a file"));
}

}  // namespace
}  // namespace lpnsr::testing
