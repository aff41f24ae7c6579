// MUSIQ, CLIPIQA, MANIQA and TOPIQ with synthetic weights under the published names, against goldens/metrics.
#include "core/error.h"
#include "eval/clipiqa.h"
#include "eval/maniqa.h"
#include "eval/musiq.h"
#include "eval/topiq.h"
#include "tests/support/metric_cases.h"

namespace lpnsr {
namespace {

using testing::close;
using testing::load_case;
using testing::maniqa_weight;
using testing::metric_picture;
using testing::rescaled;
using testing::stage_close;
using testing::write_published;
using Stages = std::map<std::string, at::Tensor>;

TEST(ReferenceMusiq, PatchesStagesAndScores) {
  LPNSR_REQUIRE_GOLDENS();
  const c10::InferenceMode inference;
  const testing::TemporaryFolder folder;
  const auto file = write_published(folder, "musiq_koniq_ckpt-e95806b9", [](const std::string& key, at::Tensor value) {
    const bool embedding = key.ends_with("position_emb") || key.ends_with("scale_emb") || key.ends_with("cls");
    return embedding ? rescaled(key, value, 0.5) : value;
  });
  const Musiq musiq({file}, c10::kCPU);
  const auto reference = load_case("metrics/musiq");
  for (const std::string name : {"ost_288x200", "hongkong_203x301", "cal_I03_dist"}) {
    const auto picture = metric_picture(name);
    const auto patches = musiq_patches(picture.unsqueeze(0));
    EXPECT_TRUE(stage_close(reference, name + "/patches", patches.pixels, 2e-5)) << name;
    const auto rows = at::stack({patches.position, patches.scale, patches.valid.to(at::kLong)}, 1).to(at::kByte);
    EXPECT_TRUE(rows.equal(reference.at(name + "/positions_scale_mask"))) << name;
    Stages stages;
    EXPECT_TRUE(close(musiq.run(picture, &stages), reference.at(name + "/value").flatten(), 2e-4, 0)) << name;
    if (name != "ost_288x200") continue;
    for (const std::string stage :
         {"conv_root", "root_pool", "block1", "embedding", "transformer_encoder.transformer.encoderblock_0", "transformer_encoder"}) {
      EXPECT_TRUE(stage_close(reference, name + "/" + stage, stages.at(stage), 0, 1e-4)) << stage;
    }
  }
  const auto corner = [](const std::string& name) { return metric_picture(name).narrow(1, 0, 160).narrow(2, 0, 160); };
  const auto both = at::stack({corner("ost_288x200"), corner("hongkong_203x301")});
  EXPECT_TRUE(close(musiq(both), reference.at("batch2/value").flatten(), 2e-4, 0));
}

TEST(ReferenceClipIqa, TextStagesAndScores) {
  LPNSR_REQUIRE_GOLDENS();
  const c10::InferenceMode inference;
  const testing::TemporaryFolder folder;
  const auto file = write_published(folder, "clip_RN50", [](const std::string& key, at::Tensor value) {
    if (key == "logit_scale") return at::full({}, std::log(100.0), at::kFloat);
    if (key == "positional_embedding") return rescaled(key, value, 0.05);
    return key == "visual.attnpool.positional_embedding" ? rescaled(key, value, 0.5) : value;
  });
  const ClipIqa clipiqa({file}, c10::kCPU);
  const auto reference = load_case("metrics/clipiqa");
  EXPECT_TRUE(clipiqa_prompts().to(at::kInt).equal(reference.at("tokens_clipiqa")));
  EXPECT_TRUE(stage_close(reference, "text_features", clipiqa.text_features(), 0, 1e-4));
  for (const std::string name : {"ost_288x200", "hongkong_203x301", "cal_I03_dist"}) {
    Stages stages;
    EXPECT_TRUE(close(clipiqa.run(metric_picture(name), &stages), reference.at(name + "/value").flatten(), 2e-4, 0)) << name;
    EXPECT_TRUE(close(stages.at("logits"), reference.at(name + "/logits"), 1e-3, 0)) << name;
    EXPECT_TRUE(close(stages.at("pair_probabilities"), reference.at(name + "/pair_probabilities"), 2e-4, 0)) << name;
    EXPECT_TRUE(stage_close(reference, name + "/visual.attnpool", stages.at("visual.attnpool"), 0, 1e-4)) << name;
    if (name != "ost_288x200") continue;
    for (const std::string stage : {"avgpool", "layer1", "layer2", "layer3", "layer4"})
      EXPECT_TRUE(stage_close(reference, name + "/visual." + stage, stages.at("visual." + stage), 0, 1e-4)) << stage;
  }
}

TEST(ReferenceTopiq, StagesAndScores) {
  LPNSR_REQUIRE_GOLDENS();
  const c10::InferenceMode inference;
  const testing::TemporaryFolder folder;
  const auto file = write_published(folder, "cfanet_nr_koniq_res50-9a73138b", [](const std::string& key, at::Tensor value) {
    return key == "h_emb" || key == "w_emb" ? rescaled(key, value, 0.5) : value;
  });
  const TopiqNr topiq({file}, c10::kCPU);
  const auto reference = load_case("metrics/topiq_nr");
  for (const std::string name : {"ost_288x200", "hongkong_203x301", "canon_480x384"}) {
    Stages stages;
    EXPECT_TRUE(close(topiq.run(metric_picture(name), &stages), reference.at(name + "/value").flatten(), 2e-4, 0)) << name;
    if (name != "ost_288x200") continue;
    for (auto [stage, value] : stages) {
      if (!reference.tensors.contains(name + "/" + stage + ".strided")) continue;
      // The reference's tokens come first, then the pictures.
      if (stage.starts_with("attn") || stage.starts_with("sa_")) value = value.transpose(0, 1);
      EXPECT_TRUE(stage_close(reference, name + "/" + stage, value, 0, 2e-4)) << stage;
    }
  }
}

TEST(ReferenceManiqa, CropsStagesAndScores) {
  LPNSR_REQUIRE_GOLDENS();
  const c10::InferenceMode inference;
  const auto reference = load_case("metrics/maniqa");
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{225, 640}, {480, 384}, {512, 512}}) {
    const auto want = reference.at(fmt::format("crop_origins_{}x{}", height, width));
    const auto got = maniqa_crops(height, width);
    ASSERT_EQ(got.size(), 20u);
    for (size_t i = 0; i < got.size(); ++i) {
      const auto row = want[static_cast<int64_t>(i)];
      EXPECT_EQ(got[i], std::pair(row[0].item<int64_t>(), row[1].item<int64_t>())) << height << "x" << width << " crop " << i;
    }
  }
  const testing::TemporaryFolder folder;
  const Maniqa maniqa({write_published(folder, "maniqa_koniq_ckpt_koniq10k", maniqa_weight)}, c10::kCPU);
  for (const auto& [name, count] : {std::pair<std::string, int64_t>{"hongkong_203x301", 1}, {"canon_480x384", 4}}) {
    const auto picture = metric_picture(name);
    EXPECT_NEAR(maniqa({picture}, count, {}).item<double>(), reference.at(name + "/value").item<double>(), 2e-4) << name;
    const auto sized = maniqa_sized(picture).sub(0.5).div(0.5);
    std::vector<at::Tensor> crops;
    for (const auto& [top, left] : maniqa_crops(sized.size(1), sized.size(2), count))
      crops.push_back(sized.narrow(1, top, 224).narrow(2, left, 224));
    EXPECT_TRUE(stage_close(reference, name + "/crops", at::stack(crops), 2e-5)) << name;
    if (count > 1) continue;
    Stages stages;
    maniqa.patches(at::stack(crops), &stages);
    for (const auto& [stage, value] : stages) EXPECT_TRUE(stage_close(reference, name + "/" + stage, value, 0, 2e-4)) << stage;
  }
}

TEST(MetricWeights, MisfitsAreNamed) {
  LPNSR_REQUIRE_GOLDENS();
  const testing::TemporaryFolder folder;
  const auto file = write_published(folder, "musiq_koniq_ckpt-e95806b9");
  StateDict damaged;
  for (const auto& [key, value] : read_safetensors(file).tensors) {
    if (key == "head.bias") continue;
    damaged.add(key == "gn_root.weight" ? "gn_rot.weight" : key, key == "head.weight" ? value.t() : value);
  }
  damaged.add("gn_root.bias", at::full({64}, std::nan("")));
  write_safetensors(file, damaged);
  EXPECT_THROW_MESSAGE(Musiq({file}, c10::kCPU), DataError,
                       ::testing::AllOf(::testing::HasSubstr("head.bias [1]"), ::testing::HasSubstr("gn_root.weight [64]"),
                                        ::testing::HasSubstr("gn_rot.weight"), ::testing::HasSubstr("[384, 1], the module needs [1, 384]"),
                                        ::testing::HasSubstr("gn_root.bias: 64 of 64")));
}

}  // namespace
}  // namespace lpnsr
