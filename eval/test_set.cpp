#include "eval/test_set.h"

#include <algorithm>

#include <fmt/ranges.h>

#include "core/error.h"
#include "core/image.h"
#include "core/in_order.h"
#include "eval/pairing.h"

namespace lpnsr {
namespace {

namespace fs = std::filesystem;

std::string where_from(const TestSet& set) { return set.source.empty() ? "" : fmt::format("\n  {} comes from: {}", set.name, set.source); }

// The pictures of the set by name; two of one name in different folders would overwrite each other's results.
void refuse_doubles(const TestSet& set, const std::vector<TestPicture>& pictures) {
  for (size_t i = 1; i < pictures.size(); ++i) {
    if (pictures[i - 1].name == pictures[i].name) {
      throw Error(fmt::format("{}: {} and {} have one name; results are told apart by it", set.name, pictures[i - 1].low.string(),
                              pictures[i].low.string()));
    }
  }
}

std::vector<TestPicture> chosen(const TestSet& set, const std::vector<TestPicture>& all) {
  if (set.only.empty()) return all;
  std::vector<TestPicture> kept;
  std::vector<std::string> names;
  for (const auto& picture : all) names.push_back(picture.name);
  for (const auto& wanted : set.only) {
    const auto found = std::find(names.begin(), names.end(), wanted);
    if (found == names.end()) throw Error(fmt::format("{}: has no picture '{}'{}", set.name, wanted, did_you_mean(wanted, names)));
    kept.push_back(all[static_cast<size_t>(found - names.begin())]);
  }
  return kept;
}

}  // namespace

void TestSet::fields(FieldVisitor& v) {
  v.text("name", name, "as the tables call it");
  v.texts("low", low, "folders of LR pictures");
  v.texts("high", high, "folders of the true pictures, one for each of low; none: there are none");
  v.texts("only", only, "names of pictures, without extension; none: all");
  v.integer("first", first, non_negative, "the first ones by name; 0: all");
  v.integer("pictures", pictures, non_negative, "how many the published set has; 0: any number");
  v.integer("scale", scale, {1, 64}, "of the true pictures relative to the LR ones");
  v.text("source", source, "where it comes from and how it lies on disk");
}

TestSet read_test_set(const fs::path& file, const std::vector<std::string>& overrides) {
  TestSet set;
  read_config(fields_of(set), file, overrides);
  if (set.name.empty()) set.name = file.stem().string();
  if (set.low.empty()) throw UsageError(fmt::format("{}: low: the folder of the LR pictures is needed", file.string()));
  if (!set.high.empty() && set.high.size() != set.low.size()) {
    throw UsageError(fmt::format("{}: high names {} folders and low {}: each folder of true pictures belongs to the LR folder at its place",
                                 file.string(), set.high.size(), set.low.size()));
  }
  return set;
}

std::vector<TestPicture> find_test_pictures(const TestSet& set) {
  std::vector<TestPicture> pictures;
  std::vector<std::string> missing;
  for (size_t i = 0; i < set.low.size(); ++i) {
    const fs::path high = set.high.empty() ? fs::path{} : fs::path(set.high[i]);
    bool present = true;
    for (const auto& folder : {fs::path(set.low[i]), high}) {
      if (folder.empty() || fs::is_directory(folder)) continue;
      if (std::find(missing.begin(), missing.end(), folder.string()) == missing.end()) missing.push_back(folder.string());
      present = false;
    }
    if (!present) continue;
    try {
      for (const auto& pair : pair_pictures(set.low[i], high))
        pictures.push_back({pair.picture.stem().string(), pair.picture, pair.reference});
    } catch (const UsageError&) {
      throw;
    } catch (const Error& error) {
      throw Error(fmt::format("data set {}: {}{}", set.name, error.what(), where_from(set)));
    }
  }
  if (!missing.empty()) {
    throw Error(fmt::format("data set {}: there is no folder {}{}", set.name, fmt::join(missing, " and no folder "), where_from(set)));
  }
  std::sort(pictures.begin(), pictures.end(), [](const TestPicture& a, const TestPicture& b) { return a.name < b.name; });
  refuse_doubles(set, pictures);
  pictures = chosen(set, pictures);
  if (set.first > 0 && set.first < static_cast<int64_t>(pictures.size())) pictures.resize(static_cast<size_t>(set.first));
  return pictures;
}

TestSetCheck check_test_set(const TestSet& set, int64_t threads, const std::function<void(int64_t total)>& progress) {
  const auto pictures = find_test_pictures(set);
  TestSetCheck check;
  check.pictures = static_cast<int64_t>(pictures.size());
  const bool whole = set.only.empty() && set.first == 0;
  if (whole && set.pictures > 0 && check.pictures != set.pictures) {
    check.faults.push_back(fmt::format("{} pictures; the published set has {}", check.pictures, set.pictures));
  }
  const auto look = [&](int64_t i) -> std::string {
    const auto& picture = pictures[static_cast<size_t>(i)];
    try {
      const Image low = read_image(picture.low);
      if (picture.high.empty()) return "";
      const Image high = read_image(picture.high);
      if (high.height() == set.scale * low.height() && high.width() == set.scale * low.width()) return "";
      return fmt::format("{} is {}x{} pixels and {} {}x{}, which is not {} times as much", picture.low.string(), low.width(), low.height(),
                         picture.high.string(), high.width(), high.height(), set.scale);
    } catch (const Error& error) {
      return error.what();
    }
  };
  in_order(check.pictures, threads, look, [&](int64_t, const std::string& fault) {
    progress(check.pictures);
    if (!fault.empty()) check.faults.push_back(fault);
  });
  return check;
}

}  // namespace lpnsr
