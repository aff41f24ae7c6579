#include "eval/clipiqa.h"

#include <ATen/Functions.h>
#include <fmt/format.h>

#include "core/error.h"

namespace lpnsr {
namespace {

// A TorchScript archive also holds these three, which are no weights.
WeightReader clip_reader(const std::vector<std::filesystem::path>& files, c10::Device device) {
  auto merged = merged_weights(files);
  return {std::move(merged.entries), merged.origin, device, {.derived = {"input_resolution", "context_length", "vocab_size"}}};
}

at::Tensor unit_rows(const at::Tensor& x) { return x / x.norm(2, {-1}, true); }

}  // namespace

at::Tensor clipiqa_prompts() {
  constexpr int64_t start = 49406, end = 49407, image = 2867, edges = 20938, resolution = 9977;
  const std::vector<std::vector<int64_t>> prompts = {
      {886, image},               // Good image
      {2103, image},              // bad image
      {8157, image},              // Sharp image
      {21977, image},             // blurry image
      {8157, edges},              // sharp edges
      {21977, edges},             // blurry edges
      {1400, resolution, image},  // High resolution image
      {1042, resolution, image},  // low resolution image
      {9307, 268, 1139, image},   // Noise-free image
      {33495, image},             // noisy image
  };
  auto tokens = at::zeros({static_cast<int64_t>(prompts.size()), 77}, at::kLong);
  auto rows = tokens.accessor<int64_t, 2>();
  for (size_t p = 0; p < prompts.size(); ++p) {
    const auto row = static_cast<int64_t>(p);
    rows[row][0] = start;
    for (size_t i = 0; i < prompts[p].size(); ++i) rows[row][static_cast<int64_t>(i) + 1] = prompts[p][i];
    rows[row][static_cast<int64_t>(prompts[p].size()) + 1] = end;
  }
  return tokens;
}

ClipIqa::ClipIqa(const std::vector<std::filesystem::path>& files, c10::Device device) : ClipIqa(clip_reader(files, device), device) {}

ClipIqa::ClipIqa(WeightReader reader, c10::Device device) : device_(device), tower_(reader) {
  const ClipTextTower text(reader);
  logit_scale_ = reader.take("logit_scale", {}).exp();
  reader.finish();
  const c10::InferenceMode inference;
  text_features_ = text(clipiqa_prompts());
}

at::Tensor ClipIqa::run(const at::Tensor& image, std::map<std::string, at::Tensor>* stages) const {
  if (std::min(image.size(-1), image.size(-2)) < 32)
    throw UsageError(fmt::format("CLIPIQA needs 32 pixels a side; the picture is {}x{}", image.size(-1), image.size(-2)));
  static const Normalisation of_clip = {{0.48145466, 0.4578275, 0.40821073}, {0.26862954, 0.26130258, 0.27577711}};
  const auto features = tower_(normalised_image(image, of_clip, device_), stages);
  const auto logits = logit_scale_ * unit_rows(features).mm(unit_rows(text_features_).t());
  const auto probabilities = logits.view({logits.size(0), 5, 2}).softmax(-1).select(-1, 0);
  if (stages != nullptr) {
    (*stages)["logits"] = logits;
    (*stages)["pair_probabilities"] = probabilities;
  }
  return probabilities.mean(-1);
}

}  // namespace lpnsr
