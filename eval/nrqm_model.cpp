#include <fmt/format.h>

#include "core/error.h"
#include "core/mat_file.h"
#include "eval/nrqm.h"

namespace lpnsr {
namespace {

constexpr std::array<int32_t, 3> feature_counts = {18, 45, 75};

// Places of the arrays in a forest's struct, as regRF_train writes them.
enum ForestField : size_t { left_daughter = 0, right_daughter = 1, thresholds = 4, predictions = 5, best_feature = 6 };

RandomForest forest_of(const MatValue& model, int32_t features, const std::string& origin) {
  if (model.kind != MatValue::Kind::structure || model.values.size() <= best_feature)
    throw DataError(origin + ": must be a struct of seven or more arrays");
  std::array<at::Tensor, best_feature + 1> arrays;
  for (const size_t field : {left_daughter, right_daughter, thresholds, predictions, best_feature}) {
    arrays[field] = model.values[field].numbers;
    if (!arrays[field].defined() || arrays[field].dim() != 2 || arrays[field].sizes() != arrays[left_daughter].sizes() ||
        arrays[field].numel() == 0)
      throw DataError(fmt::format("{}: array {} of the forest must be nodes x trees like the first", origin, field + 1));
  }
  for (auto& array : arrays) {
    if (array.defined()) array = array.t().contiguous();
  }
  const auto count = static_cast<int32_t>(arrays[left_daughter].size(1));
  RandomForest forest;
  for (int64_t t = 0; t < arrays[left_daughter].size(0); ++t) {
    const auto column = [&](size_t field) { return arrays[field].data_ptr<double>() + t * count; };
    auto& tree = forest.trees.emplace_back();
    for (int32_t n = 0; n < count; ++n) {
      ForestNode node{static_cast<int32_t>(column(left_daughter)[n]) - 1, static_cast<int32_t>(column(right_daughter)[n]) - 1,
                      static_cast<int32_t>(column(best_feature)[n]) - 1, column(thresholds)[n], column(predictions)[n]};
      const bool leaf = node.left < 0 && node.right < 0;
      if (leaf) node.feature = 0;
      // Daughters follow their parent, so every walk ends.
      const bool sound = node.left < count && node.right < count && node.feature >= 0 && node.feature < features &&
                         (node.left < 0 || node.left > n) && (node.right < 0 || node.right > n);
      if (!sound) throw DataError(fmt::format("{}: node {} of tree {} leads outside the tree or its features", origin, n + 1, t + 1));
      tree.push_back(node);
    }
  }
  return forest;
}

}  // namespace

NrqmModel read_nrqm_model(const std::filesystem::path& path) {
  for (const auto& [name, value] : read_mat(path)) {
    if (name != "model") continue;
    NrqmModel model;
    try {
      const auto& forests = value.at("rf");
      if (forests.kind != MatValue::Kind::cell || forests.values.size() != 3) throw DataError("'rf' must be a cell of three forests");
      for (size_t i = 0; i < 3; ++i) model.forests[i] = forest_of(forests.values[i], feature_counts[i], fmt::format("forest {}", i + 1));
      const auto& linear = value.at("linear").numbers;
      if (!linear.defined() || linear.numel() != 4) throw DataError("'linear' must hold four numbers");
      std::copy_n(linear.data_ptr<double>(), 4, model.linear.begin());
    } catch (const Error& error) {
      throw DataError(fmt::format("{}: not a model of NRQM: {}", path.string(), error.what()));
    }
    return model;
  }
  throw DataError(path.string() + ": holds no variable 'model'; NRQM_model.mat of pyiqa (or sr-metric's model.mat) is needed");
}

}  // namespace lpnsr
