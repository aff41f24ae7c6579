#include "core/error.h"
#include "core/pickle.h"
#include "tests/support/fault.h"
#include "tests/support/fixtures.h"

namespace lpnsr::testing {
namespace {

using ::testing::HasSubstr;

PickleTree parse(const std::string& bytes) {
  const auto source = memory_source(bytes, "x.pkl");
  ByteCursor cursor(*source, 0);
  return PickleTree::parse(*source, cursor);
}

// Protocol 2 around the given instructions.
std::string pickle(const std::string& instructions) { return "\x80\x02" + instructions + "."; }
std::string text(const std::string& value) { return std::string("\x8c") + static_cast<char>(value.size()) + value; }

// The bytes are those of Python's pickle.dumps({"a": [1, -2, 2**40, 1.5, None, True], "b": ("x", b"y")}, protocol).
void expect_sample(const PickleTree& tree) {
  const PickleValue& root = tree.root();
  ASSERT_EQ(root.kind, PickleKind::dict);
  ASSERT_EQ(root.items.size(), 4U);
  EXPECT_EQ(tree[root.items[0]].text, "a");
  const PickleValue& list = tree[root.items[1]];
  ASSERT_EQ(list.kind, PickleKind::list);
  ASSERT_EQ(list.items.size(), 6U);
  EXPECT_EQ(tree[list.items[0]].integer, 1);
  EXPECT_EQ(tree[list.items[1]].integer, -2);
  EXPECT_EQ(tree[list.items[2]].integer, int64_t{1} << 40);
  EXPECT_EQ(tree[list.items[3]].real, 1.5);
  EXPECT_EQ(tree[list.items[4]].kind, PickleKind::none);
  EXPECT_EQ(tree[list.items[5]].kind, PickleKind::boolean);
  EXPECT_EQ(tree[list.items[5]].integer, 1);
  const PickleValue& pair = tree[root.items[3]];
  ASSERT_EQ(pair.kind, PickleKind::tuple);
  EXPECT_EQ(tree[pair.items[0]].text, "x");
}

TEST(Pickle, ReadsProtocol2) {
  expect_sample(parse(std::string(
      "\200\002}q\000(X\001\000\000\000aq\001]q\002("
      "K\001J\376\377\377\377\212\006\000\000\000\000\000\001G\077\370\000\000\000\000\000\000N\210eX\001\000\000\000bq\003X\001\000\000"
      "\000xq\004c_codecs\012encode\012q\005X\001\000\000\000yq\006X\006\000\000\000latin1q\007\206q\010Rq\011\206q\012u.",
      111)));
}

TEST(Pickle, ReadsProtocol4) {
  expect_sample(
      parse(std::string("\200\004\2255\000\000\000\000\000\000\000}\224(\214\001a\224]\224("
                        "K\001J\376\377\377\377\212\006\000\000\000\000\000\001G\077\370\000\000\000\000\000\000N\210e\214\001b\224\214\001"
                        "x\224C\001y\224\206\224u.",
                        64)));
}

TEST(Pickle, ReadsProtocol5) {
  expect_sample(
      parse(std::string("\200\005\2255\000\000\000\000\000\000\000}\224(\214\001a\224]\224("
                        "K\001J\376\377\377\377\212\006\000\000\000\000\000\001G\077\370\000\000\000\000\000\000N\210e\214\001b\224\214\001"
                        "x\224C\001y\224\206\224u.",
                        64)));
}

TEST(Pickle, CutAtEveryByteIsRefused) {
  const std::string bytes(
      "\200\004\2255\000\000\000\000\000\000\000}\224(\214\001a\224]\224("
      "K\001J\376\377\377\377\212\006\000\000\000\000\000\001G\077\370\000\000\000\000\000\000N\210e\214\001b\224\214\001x\224C\001y\224"
      "\206\224u.",
      64);
  for (size_t length = 0; length < bytes.size(); ++length) EXPECT_THROW(parse(bytes.substr(0, length)), DataError) << length;
}

TEST(Pickle, CallsAreValuesAndNothingRuns) {
  const PickleTree tree = parse(pickle("cposix\nsystem\n" + text("touch /tmp/lpnsr-was-here") + "\x85R"));
  EXPECT_EQ(tree.root().kind, PickleKind::call);
  EXPECT_EQ(describe(tree, tree.root_id()), "a call of posix.system");
  EXPECT_FALSE(std::filesystem::exists("/tmp/lpnsr-was-here"));
}

TEST(Pickle, OrderedDictionariesAreDictionaries) {
  const PickleTree empty = parse(pickle("ccollections\nOrderedDict\n)R" + text("k") + "K\x07s"));
  EXPECT_EQ(empty.root().kind, PickleKind::dict);
  EXPECT_EQ(empty[empty.root().items[1]].integer, 7);
  const PickleTree of_pairs = parse(pickle("ccollections\nOrderedDict\n](" + text("k") + "K\x07\x86" + "e\x85R"));
  EXPECT_EQ(of_pairs.root().kind, PickleKind::dict);
  EXPECT_EQ(of_pairs[of_pairs.root().items[1]].integer, 7);
}

TEST(Pickle, AttributesOfADictionaryAreIgnored) {
  const PickleTree tree = parse(pickle("ccollections\nOrderedDict\n)R}" + text("_metadata") + "Nsb"));
  EXPECT_EQ(tree.root().kind, PickleKind::dict);
  EXPECT_TRUE(tree.root().items.empty());
}

TEST(Pickle, AListInItselfEnds) {
  const PickleTree tree = parse(pickle(std::string("]q\0h\0a", 6)));
  EXPECT_EQ(tree.root().items, std::vector<PickleId>{tree.root_id()});
}

TEST(Pickle, DeepNestingCostsNoStack) {
  constexpr size_t depth = 2'000'000;
  const PickleTree tree = parse(pickle(std::string(depth, ']') + std::string(depth - 1, 'a')));
  EXPECT_EQ(tree.root().items.size(), 1U);
}

class HostilePickle : public ::testing::TestWithParam<Fault> {};

TEST_P(HostilePickle, IsRefused) { EXPECT_THROW_MESSAGE(parse(GetParam().bytes), DataError, HasSubstr(GetParam().message)); }

INSTANTIATE_TEST_SUITE_P(
    Faults, HostilePickle,
    ::testing::Values(
        Fault{"Empty", "", "too early"}, Fault{"Protocol0", "I1\n.", "protocol 2"}, Fault{"Protocol9", "\x80\x09N.", "protocol 9"},
        Fault{"NothingOnTheStack", pickle(""), "not there"}, Fault{"PopsBelowAMark", pickle("N(\x85"), "not there"},
        Fault{"ClosesNoGroup", pickle("Nt"), "not opened"}, Fault{"RecallsWhatWasNotKept", pickle("h\x05"), "never kept"},
        Fault{"RecallsPlace2To32", pickle("j\xff\xff\xff\xff"), "never kept"}, Fault{"KeepsNothing", pickle("q\x05"), "not there"},
        Fault{"TextOf4GiB", pickle("X\xff\xff\xff\xff"), "too early"},
        Fault{"TextOf2To64Bytes", pickle("\x8d" + std::string(8, '\xff')), "too early"},
        Fault{"NumberOf4GiB", pickle("\x8b\xff\xff\xff\x7f"), "too early"}, Fault{"KeyWithoutValue", pickle("}(Nu"), "without a value"},
        Fault{"ItemsIntoANumber", pickle("K\x01Na"), "takes none"}, Fault{"ArgumentsThatAreNoTuple", pickle("ca\nb\nNR"), "no tuple"},
        Fault{"ClassNamedByANumber", pickle("K\x01K\x01\x93"), "no text"},
        Fault{"ClassNameWithoutEnd", pickle("c" + std::string(1000, 'x')), "characters"},
        Fault{"ExtensionRegistry", pickle("\x82\x01"), "0x82"}, Fault{"OldObject", pickle("(ca\nb\no"), "0x6f"},
        Fault{"OutOfBandBuffer", pickle("\x97"), "0x97"}, Fault{"TooManyMarks", pickle(std::string(20'000'000, '(')), "groups"},
        Fault{"TooManyValues", pickle(std::string(20'000'000, 'N')), "values"},
        Fault{"TooManyCopies", pickle("N2" + std::string(20'000'000, '2')), "stack"}),
    [](const auto& test) { return std::string(test.param.name); });

// One byte of a pickle must not copy a whole list: 5000 pairs, made into a dictionary 5000 times, would be 25 million entries.
TEST(Pickle, MemoAbuseIsBounded) {
  std::string instructions = "](";
  for (int i = 0; i < 5000; ++i) instructions += "NN\x86";
  instructions += std::string("eq\0", 3);
  for (int i = 0; i < 5000; ++i) instructions += std::string("ccollections\nOrderedDict\nh\0\x85R", 29);
  EXPECT_THROW_MESSAGE(parse(pickle(instructions)), DataError, HasSubstr("copies too many"));
}

}  // namespace
}  // namespace lpnsr::testing
