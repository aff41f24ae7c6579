// Every file of the reference set loads or is refused as its index says.
#include <fstream>

#include "core/error.h"
#include "core/files.h"
#include "tests/support/fixtures.h"
#include "tests/support/reference.h"
#include "tests/support/synthetic.h"

namespace lpnsr::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::filesystem::path folder() { return goldens() / "diffusion" / "checkpoint_formats"; }

nlohmann::json index() { return nlohmann::json::parse(read_file(folder() / "index.json")); }

// A module with the names and shapes that the files were made for.
class Expected : public torch::nn::Module {
 public:
  Expected() {
    const auto conv = register_module("conv", std::make_shared<torch::nn::Module>());
    conv->register_parameter("weight", torch::zeros({4, 3, 3, 3}));
    conv->register_parameter("bias", torch::zeros({4}));
    const auto block =
        register_module("blocks", std::make_shared<torch::nn::Module>())->register_module("0", std::make_shared<torch::nn::Module>());
    for (const auto& [name, shape] : {std::pair<std::string, std::vector<int64_t>>{"norm", {8}}, {"fc", {6, 8}}}) {
      const auto layer = block->register_module(name, std::make_shared<torch::nn::Module>());
      layer->register_parameter("weight", torch::zeros(shape));
      layer->register_parameter("bias", torch::zeros({shape[0]}));
    }
  }
};

// With a copy of the file's bytes and where they lie.
class CheckpointFormats : public ::testing::TestWithParam<FileAccess> {
 protected:
  void SetUp() override { LPNSR_REQUIRE_GOLDENS(); }
  static WeightsFile read_weights(const std::filesystem::path& path) { return lpnsr::read_weights(path, GetParam()); }
  static void load(torch::nn::Module& module, const std::filesystem::path& path) {
    load_strictly(module, read_weights(path).tensors, path.string());
  }
};
INSTANTIATE_TEST_SUITE_P(Files, CheckpointFormats, ::testing::Values(FileAccess::copied, FileAccess::mapped),
                         [](const auto& access) { return access.param == FileAccess::mapped ? "mapped" : "copied"; });

TEST_P(CheckpointFormats, FilesThatLoadGiveTheExpectedNumbers) {
  const nlohmann::json description = index();
  int compared = 0;
  for (const auto& [name, entry] : description["files"].items()) {
    const std::string expect = entry["expect"];
    if (expect != "load" && expect != "load_half" && expect != "load_bfloat16" && expect != "load_or_error") continue;
    SCOPED_TRACE(name);
    const at::ScalarType type = expect == "load_half" ? at::kHalf : expect == "load_bfloat16" ? at::kBFloat16 : at::kFloat;
    Expected module;
    ASSERT_NO_THROW(load(module, folder() / name));
    const StateDict loaded = state_dict(module);
    for (const auto& wanted : description["expected"]) {
      const std::string key = wanted[0];
      const auto shape = wanted[1].get<std::vector<int64_t>>();
      const at::Tensor value = synthetic_weight(description["salt"], key, shape).to(at::kFloat).to(type).to(at::kFloat);
      EXPECT_TRUE(torch::equal(loaded.at(key), value)) << key;
    }
    ++compared;
  }
  EXPECT_EQ(compared, 15);
}

TEST_P(CheckpointFormats, FilesThatAreWrongAreRefused) {
  int refused = 0;
  const nlohmann::json description = index();
  for (const auto& [name, entry] : description["files"].items()) {
    if (!entry["expect"].get<std::string>().starts_with("error")) continue;
    Expected module;
    EXPECT_THROW_MESSAGE(load(module, folder() / name), DataError, HasSubstr(name));
    for (const auto& [key, value] : state_dict(module)) EXPECT_EQ(value.abs().sum().item<float>(), 0.0F) << name << " changed " << key;
    ++refused;
  }
  EXPECT_EQ(refused, 15);
}

TEST_P(CheckpointFormats, MessagesSayWhy) {
  const std::vector<std::pair<std::string, ::testing::Matcher<std::string>>> reasons = {
      {"bad_missing_key.pth", AllOf(HasSubstr("missing"), HasSubstr("blocks.0.fc.bias"))},
      {"bad_extra_key.pth", AllOf(HasSubstr("not part"), HasSubstr("not.there"))},
      {"bad_shape.pth", AllOf(HasSubstr("blocks.0.fc.weight"), HasSubstr("[6, 8]"), HasSubstr("the file has"))},
      {"bad_nan.pth", AllOf(HasSubstr("NaN"), HasSubstr("blocks.0.fc.weight"))},
      {"bad_truncated.pth", HasSubstr("truncated")},
      {"bad_truncated_legacy.pth", HasSubstr("truncated")},
      {"bad_truncated.safetensors", HasSubstr("truncated")},
      {"bad_empty.pth", HasSubstr("empty")},
      {"bad_text.pth", HasSubstr("web page")},
      {"bad_pickle_code.pth", AllOf(HasSubstr("posix.system"), HasSubstr("nothing was executed"))},
      {"bad_pickle_code_legacy.pth", HasSubstr("posix.system")},
      {"bad_raw_pickle.pth", HasSubstr("bare Python pickle")},
      {"bad_module_object.pth", HasSubstr("torch.nn.modules.linear.Linear")},
      {"bad_crc.pth", HasSubstr("CRC-32")},
      {"bad_header.safetensors", HasSubstr("header")}};
  for (const auto& [name, reason] : reasons) {
    Expected module;
    EXPECT_THROW_MESSAGE(load(module, folder() / name), DataError, reason);
  }
}

TEST_P(CheckpointFormats, SaysWhereTheWeightsWere) {
  EXPECT_EQ(read_weights(folder() / "nested_params_ema_and_params.pth").found_under, "params_ema");
  EXPECT_EQ(read_weights(folder() / "nested_params.pth").found_under, "params");
  EXPECT_EQ(read_weights(folder() / "nested_state_dict.pth").found_under, "state_dict");
  EXPECT_EQ(read_weights(folder() / "plain.pth").found_under, "");
  EXPECT_EQ(read_weights(folder() / "prefix_module_orig_mod.pth").stripped_prefix, "module._orig_mod.");
  EXPECT_EQ(read_weights(folder() / "bf16_prefix.safetensors").stripped_prefix, "module.");
  EXPECT_EQ(read_weights(folder() / "legacy.pth").format, "pytorch-legacy");
  EXPECT_EQ(read_weights(folder() / "plain.pth").format, "pytorch-zip");
  EXPECT_EQ(read_weights(folder() / "plain.safetensors").format, "safetensors");
}

TEST_P(CheckpointFormats, SharedStorageAndOtherTypes) {
  const StateDict tensors = read_weights(folder() / "shared_storage.pth").tensors;
  const at::Tensor all = torch::arange(8, at::kFloat);
  EXPECT_TRUE(torch::equal(tensors.at("a").flatten(), all.slice(0, 0, 4)));
  EXPECT_TRUE(torch::equal(tensors.at("b").flatten(), all.slice(0, 4, 8)));
  EXPECT_TRUE(torch::equal(tensors.at("c").flatten(), all));
  EXPECT_EQ(tensors.at("n").dim(), 0);
  EXPECT_EQ(tensors.at("n").item<int64_t>(), 5);
  EXPECT_EQ(tensors.at("flag").scalar_type(), at::kBool);
  EXPECT_EQ(tensors.at("empty").sizes(), (std::vector<int64_t>{0, 3}));
  EXPECT_TRUE(torch::equal(tensors.at("d64").flatten(), torch::arange(8, at::kDouble)));
}

// Cut anywhere, a file is refused or, where only padding is lost, read in full; it never crashes the reader.
TEST_P(CheckpointFormats, CutAtEveryByte) {
  TemporaryFolder temporary;
  for (const std::string name : {"legacy.pth", "plain.safetensors"}) {
    const std::string bytes = read_file(folder() / name);
    for (size_t length = 0; length < bytes.size(); ++length) {
      write_text(temporary / name, bytes.substr(0, length));
      EXPECT_THROW(read_weights(temporary / name), DataError) << name << " cut to " << length;
    }
  }
  const std::string bytes = read_file(folder() / "plain.pth");
  for (size_t length = 0; length < bytes.size(); length += 7) {
    write_text(temporary / "plain.pth", bytes.substr(0, length));
    EXPECT_THROW(read_weights(temporary / "plain.pth"), DataError) << "plain.pth cut to " << length;
  }
}

// A wrong byte is refused or gives tensors; it never crashes the reader.
TEST_P(CheckpointFormats, BytesChanged) {
  TemporaryFolder temporary;
  for (const std::string name : {"legacy.pth", "plain.pth", "plain.safetensors", "plain_dict_protocol4.pth"}) {
    const std::string bytes = read_file(folder() / name);
    int refused = 0;
    for (size_t place = 0; place < bytes.size(); place += 3) {
      std::string damaged = bytes;
      damaged[place] = static_cast<char>(damaged[place] ^ (place % 2 ? 0xff : 0x10));
      write_text(temporary / name, damaged);
      try {
        read_weights(temporary / name);
      } catch (const Error&) {
        ++refused;
      }
    }
    EXPECT_GT(refused, 50) << name;
  }
}

}  // namespace
}  // namespace lpnsr::testing
