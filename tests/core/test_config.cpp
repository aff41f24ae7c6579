#include <fmt/format.h>

#include "core/config.h"
#include "core/error.h"
#include "core/files.h"
#include "tests/support/fixtures.h"

namespace lpnsr {
namespace {

using ::lpnsr::testing::TemporaryFolder;
using ::lpnsr::testing::write_text;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Inner {
  double kappa = 2.0;
  std::vector<int64_t> off = {};
  void fields(FieldVisitor& v) {
    v.real("kappa", kappa, positive, "noise level");
    v.integers("off", off, {1, 4}, "steps without the predictor");
  }
};

struct Sample {
  int64_t seed = 12345;
  bool flip = true;
  std::string name = "a \"quoted\"\nline\t\\ \x01 \xc3\xa9";
  std::string noise = "predictor";
  double rate = 5e-5;
  std::vector<double> weights = {0.1, 1.0 / 3.0, 1e300, -2.0};
  std::vector<std::string> folders = {"a b", "c"};
  Inner chain;
  int64_t after = 1;
  void fields(FieldVisitor& v) {
    v.integer("seed", seed, non_negative, "first of all draws");
    v.boolean("flip", flip, "");
    v.text("name", name, "a note");
    v.choice("noise", noise, {"predictor", "random", "optimal"}, "where z comes from");
    v.real("rate", rate, positive, "learning rate");
    v.reals("weights", weights, any_value, "one a loss");
    v.texts("folders", folders, "");
    v.section("chain", chain, "the reverse chain");
    v.integer("after", after, {1, 10}, std::string(200, 'x'));
  }
};

Sample read(const std::string& toml, const std::vector<std::string>& overrides = {}) {
  Sample sample;
  read_config_text(fields_of(sample), toml, "test.toml", overrides);
  return sample;
}

std::string fault_of(const std::string& toml, const std::vector<std::string>& overrides = {}) {
  try {
    read(toml, overrides);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "no fault";
}

TEST(Config, ReadsEveryKind) {
  const Sample sample = read(
      "seed = 7\nflip = false\nnoise = \"random\"\nrate = 1\nweights = [1, 2.5]\nfolders = \"one\"\nafter = 3\n"
      "[chain]\nkappa = 0.5\noff = 2\n");
  EXPECT_EQ(sample.seed, 7);
  EXPECT_FALSE(sample.flip);
  EXPECT_EQ(sample.noise, "random");
  EXPECT_EQ(sample.rate, 1.0);
  EXPECT_THAT(sample.weights, ElementsAre(1.0, 2.5));
  EXPECT_THAT(sample.folders, ElementsAre("one"));
  EXPECT_EQ(sample.chain.kappa, 0.5);
  EXPECT_THAT(sample.chain.off, ElementsAre(2));
  EXPECT_EQ(sample.after, 3);
}

TEST(Config, AbsentKeysKeepTheirDefaults) {
  const Sample sample = read("");
  EXPECT_EQ(sample.seed, 12345);
  EXPECT_EQ(sample.chain.kappa, 2.0);
  EXPECT_EQ(sample.folders.size(), 2U);
}

TEST(Config, WrittenTextReadsBackToTheSameBits) {
  Sample sample;
  sample.rate = 0.1 + 0.2;
  sample.chain.kappa = 5e-324;
  sample.chain.off = {4, 1};
  sample.seed = 9007199254740993;  // no double holds it
  const std::string text = write_config(fields_of(sample));
  Sample back;
  back.name.clear();
  back.weights.clear();
  back.folders.clear();
  read_config_text(fields_of(back), text, "written", {});
  EXPECT_EQ(back.seed, sample.seed);
  EXPECT_EQ(back.name, sample.name);
  EXPECT_EQ(back.rate, sample.rate);
  EXPECT_EQ(back.weights, sample.weights);
  EXPECT_EQ(back.folders, sample.folders);
  EXPECT_EQ(back.chain.kappa, sample.chain.kappa);
  EXPECT_EQ(back.chain.off, sample.chain.off);
  EXPECT_EQ(back.after, sample.after);
  EXPECT_EQ(write_config(fields_of(back)), text);
}

TEST(Config, WrittenTextIsReadable) {
  Sample sample;
  const std::string text = write_config(fields_of(sample));
  EXPECT_THAT(text, HasSubstr("seed = 12345  # first of all draws\n"));
  EXPECT_THAT(text, HasSubstr("rate = 5e-05  # learning rate\n"));
  EXPECT_THAT(text, HasSubstr("noise = \"predictor\"  # where z comes from: predictor | random | optimal\n"));
  EXPECT_THAT(text, HasSubstr("\n[chain]  # the reverse chain\nkappa = 2.0  # noise level\n"));
  EXPECT_THAT(text, HasSubstr(fmt::format("# {:x<200}\nafter = 1\n", "")));
  EXPECT_LT(text.find("after = 1"), text.find("[chain]"));  // TOML: a table's own keys first
}

TEST(Config, NamesTheNearestKey) {
  EXPECT_EQ(fault_of("seed = 1\nsead = 2\n"), "test.toml:2: sead: unknown key; did you mean 'seed'?");
  EXPECT_EQ(fault_of("[chain]\nkapa = 2\n"), "test.toml:2: chain.kapa: unknown key; did you mean 'kappa'?");
  EXPECT_EQ(fault_of("[chan]\nkappa = 2\n"), "test.toml:1: chan: unknown section; did you mean 'chain'?");
  EXPECT_EQ(fault_of("kappa = 2\n"), "test.toml:1: kappa: unknown key; did you mean 'chain.kappa'?");
  EXPECT_THAT(fault_of("[chain]\nzzzzzz = 2\n"), HasSubstr("unknown key; known here: kappa, off"));
  EXPECT_THAT(fault_of("[empty]\n"), HasSubstr("test.toml:1: empty: unknown section"));
}

TEST(Config, RefusesWrongTypes) {
  EXPECT_EQ(fault_of("seed = \"7\""), "test.toml:1: seed: must be an integer, got \"7\"");
  EXPECT_EQ(fault_of("seed = 1e5"), "test.toml:1: seed: must be an integer, got 100000.0; write 100000");
  EXPECT_EQ(fault_of("seed = 1.5"), "test.toml:1: seed: must be an integer, got 1.5");
  EXPECT_EQ(fault_of("flip = 1"), "test.toml:1: flip: must be true or false, got 1");
  EXPECT_EQ(fault_of("name = 3"), "test.toml:1: name: must be text, got 3");
  EXPECT_EQ(fault_of("rate = true"), "test.toml:1: rate: must be a number, got true");
  EXPECT_EQ(fault_of("rate = nan"), "test.toml:1: rate: must be a finite number, got nan");
  EXPECT_EQ(fault_of("rate = inf"), "test.toml:1: rate: must be a finite number, got inf");
  EXPECT_EQ(fault_of("name = 2024-01-01"), "test.toml:1: name: must be text, got 2024-01-01");
  EXPECT_EQ(fault_of("[seed]\nx = 1"), "test.toml:1: seed: must be an integer, got a section");
  EXPECT_THAT(fault_of("chain = 3"), HasSubstr("test.toml:1: chain: is a section: write [chain]"));
  EXPECT_EQ(fault_of("weights = [1,\n 2,\n 'x']"), "test.toml:3: weights[2]: must be a number, got \"x\"");
  EXPECT_EQ(fault_of("folders = [['a']]"), "test.toml:1: folders: must be text, got [\"a\"]");
  EXPECT_THAT(fault_of("[[chain]]\nkappa = 1"), HasSubstr("chain: is a section"));
}

TEST(Config, RefusesWhatLiesOutsideTheRange) {
  EXPECT_EQ(fault_of("seed = -1"), "test.toml:1: seed: must be at least 0, got -1");
  EXPECT_EQ(fault_of("rate = 0"), "test.toml:1: rate: must be above 0, got 0");
  EXPECT_EQ(fault_of("after = 11"), "test.toml:1: after: must lie in [1, 10], got 11");
  EXPECT_EQ(fault_of("after = 9223372036854775807"), "test.toml:1: after: must lie in [1, 10], got 9.223372036854776e+18");
  EXPECT_EQ(fault_of("[chain]\noff = [1, 5]"), "test.toml:2: chain.off[1]: must lie in [1, 4], got 5");
  EXPECT_EQ(fault_of("noise = \"randon\""),
            "test.toml:1: noise: must be one of predictor, random, optimal, got \"randon\"; did you mean 'random'?");
}

TEST(Config, CollectsEveryFaultInTheOrderOfTheLines) {
  const std::string text = fault_of("rate = -1\nsede = 2\nflip = 3\n[chain]\nkappa = 'x'\n", {"after=0", "nonsense"});
  EXPECT_THAT(text, HasSubstr("6 faults"));
  std::vector<size_t> places;
  for (const char* part :
       {"nonsense", "--set after=0: after", "test.toml:1: rate", "test.toml:2: sede", "test.toml:3: flip", "test.toml:5: chain.kappa"}) {
    places.push_back(text.find(part));
    EXPECT_NE(places.back(), std::string::npos) << part << " in " << text;
  }
  EXPECT_TRUE(std::is_sorted(places.begin(), places.end())) << text;
}

TEST(Config, OverridesWinOverTheFile) {
  const Sample sample = read("seed = 1\n[chain]\nkappa = 3.0\n", {"seed=9", "chain.kappa=0.25", "chain.off=4,3,2", "noise=random",
                                                                  "name=2024-01-01", "folders=x/y", "rate = 1e-3"});
  EXPECT_EQ(sample.seed, 9);
  EXPECT_EQ(sample.chain.kappa, 0.25);
  EXPECT_THAT(sample.chain.off, ElementsAre(4, 3, 2));
  EXPECT_EQ(sample.noise, "random");
  EXPECT_EQ(sample.name, "2024-01-01");
  EXPECT_THAT(sample.folders, ElementsAre("x/y"));
  EXPECT_EQ(sample.rate, 1e-3);
  EXPECT_EQ(read("", {"name="}).name, "");
  EXPECT_EQ(read("", {"name=a=b"}).name, "a=b");
  EXPECT_EQ(read("", {"name=\"a b\""}).name, "a b");
  EXPECT_THAT(read("", {"chain.off=[]"}).chain.off, IsEmpty());
  EXPECT_EQ(read("", {"seed=1", "seed=2"}).seed, 2);
}

TEST(Config, OverridesAreCheckedAsTheFileIs) {
  EXPECT_EQ(fault_of("", {"chain.kapa=1"}), "--set chain.kapa=1: chain.kapa: unknown key; did you mean 'kappa'?");
  EXPECT_EQ(fault_of("", {"seed=x"}), "--set seed=x: seed: must be an integer, got \"x\"");
  EXPECT_EQ(fault_of("", {"seed="}), "--set seed=: seed: must be an integer, got \"\"");
  EXPECT_THAT(fault_of("", {"chain=3"}), HasSubstr("is a section"));
  EXPECT_THAT(fault_of("", {"seed.x=3"}), HasSubstr("seed: must be an integer, got a section"));
  for (const char* text : {"seed", "=1", ".seed=1", "chain.=1", "chain..off=1"})
    EXPECT_THAT(fault_of("", {text}), HasSubstr("must be section.key=value"));
  EXPECT_THAT(fault_of("", {"name=\xff"}), HasSubstr("not valid UTF-8"));
  EXPECT_THAT(fault_of("", {"seed=1\nafter=2"}), HasSubstr("must be an integer"));
}

TEST(Config, SyntaxErrorsHaveTheirLine) {
  EXPECT_THAT(fault_of("seed = 1\nrate = = 2\n"), HasSubstr("test.toml:2: not valid TOML"));
  EXPECT_THAT(fault_of("seed = 1\nseed = 2\n"), HasSubstr("test.toml:2"));
  EXPECT_THAT(fault_of("seed = 99999999999999999999\n"), HasSubstr("test.toml:1"));
  EXPECT_THAT(fault_of(std::string("a\0b", 3)), HasSubstr("test.toml:1"));
  EXPECT_THAT(fault_of(fmt::format("weights = {:[<100000}", "")), HasSubstr("test.toml:1"));
}

TEST(Config, ExtendsKeyByKey) {
  const TemporaryFolder folder;
  write_text(folder / "base/first.toml", "seed = 1\nrate = 0.5\nweights = [1, 2, 3]\n[chain]\nkappa = 1.5\noff = [1, 2]\n");
  write_text(folder / "base/second.toml", "extends = \"first.toml\"\nseed = 2\n[chain]\noff = [3]\n");
  write_text(folder / "run.toml", "extends = \"base/second.toml\"\nweights = [9]\n");
  Sample sample;
  read_config(fields_of(sample), folder / "run.toml", {"rate=0.25"});
  EXPECT_EQ(sample.seed, 2);
  EXPECT_EQ(sample.rate, 0.25);
  EXPECT_THAT(sample.weights, ElementsAre(9.0));
  EXPECT_EQ(sample.chain.kappa, 1.5);
  EXPECT_THAT(sample.chain.off, ElementsAre(3));
}

TEST(Config, ExtendsSeveralFilesOfWhichLaterOnesWin) {
  const TemporaryFolder folder;
  write_text(folder / "common.toml", "seed = 1\n");
  write_text(folder / "one.toml", "extends = \"common.toml\"\nrate = 0.5\n[chain]\nkappa = 1.5\n");
  write_text(folder / "two.toml", "extends = \"common.toml\"\nrate = 0.75\n[chain]\noff = [3]\n");
  write_text(folder / "run.toml", "extends = [\"one.toml\", \"two.toml\"]\nseed = 4\n");
  Sample sample;
  read_config(fields_of(sample), folder / "run.toml");
  EXPECT_EQ(sample.seed, 4);
  EXPECT_EQ(sample.rate, 0.75);
  EXPECT_EQ(sample.chain.kappa, 1.5);
  EXPECT_THAT(sample.chain.off, ElementsAre(3));
}

TEST(Config, FaultsOfAnExtendedFileNameThatFile) {
  const TemporaryFolder folder;
  write_text(folder / "base.toml", "\nrate = -1\n");
  write_text(folder / "run.toml", "extends = \"base.toml\"\nsede = 3\n");
  Sample sample;
  EXPECT_THROW_MESSAGE(
      read_config(fields_of(sample), folder / "run.toml"), UsageError,
      AllOf(HasSubstr((folder / "base.toml").string() + ":2: rate"), HasSubstr((folder / "run.toml").string() + ":2: sede")));
}

TEST(Config, RefusesCirclesAndMissingFiles) {
  const TemporaryFolder folder;
  write_text(folder / "a.toml", "extends = \"b.toml\"\n");
  write_text(folder / "b.toml", "extends = \"a.toml\"\n");
  write_text(folder / "lost.toml", "\nextends = \"nowhere.toml\"\n");
  write_text(folder / "number.toml", "extends = 3\n");
  Sample sample;
  const auto fields = fields_of(sample);
  EXPECT_THROW_MESSAGE(read_config(fields, folder / "a.toml"), UsageError, HasSubstr("a.toml -> b.toml -> a.toml"));
  EXPECT_THROW_MESSAGE(read_config(fields, folder / "lost.toml"), UsageError,
                       AllOf(HasSubstr("lost.toml:2: extends"), HasSubstr("nowhere.toml")));
  EXPECT_THROW_MESSAGE(read_config(fields, folder / "number.toml"), UsageError,
                       HasSubstr("must be the name of a TOML file or a list of them, got 3"));
  EXPECT_THROW_MESSAGE(read_config(fields, folder / "absent.toml"), UsageError, HasSubstr((folder / "absent.toml").string()));
  EXPECT_THROW_MESSAGE(read_config(fields, folder.path()), UsageError, HasSubstr("is a folder"));
  EXPECT_THROW_MESSAGE(read_config_text(fields, "extends = \"a.toml\"", "text"), UsageError, HasSubstr("only a file"));
}

TEST(Config, DifferencesByKey) {
  Sample a, b;
  EXPECT_THAT(config_differences(write_config(fields_of(a)), write_config(fields_of(b))), IsEmpty());
  b.chain.kappa = 1.0;
  b.folders = {"z"};
  EXPECT_THAT(config_differences(write_config(fields_of(a)), write_config(fields_of(b))),
              ElementsAre("chain.kappa: 2.0 here, 1.0 there", "folders: [\"a b\", \"c\"] here, [\"z\"] there"));
  EXPECT_THAT(config_differences("a = 1", "b = 1"), ElementsAre("a: 1 here, not set there", "b: not set here, 1 there"));
}

}  // namespace
}  // namespace lpnsr
