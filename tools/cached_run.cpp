#include "tools/cached_run.h"

#include <fstream>

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "core/log.h"
#include "core/sha256.h"
#include "eval/metrics.h"
#include "tools/trained_file.h"
#include "trainers/experiment.h"

namespace lpnsr {
namespace {

namespace fs = std::filesystem;

constexpr size_t kShortHash = 16;

// Everything of an experiment that restoring depends on. Files of weights stand by their hashes, so that moving them changes nothing.
struct Recipe {
  SystemOptions system;
  RestoreOptions restore;
  void fields(FieldVisitor& v) {
    system.fields(v);
    v.section("restore", restore, "");
  }
};

void link_picture(const fs::path& target, const fs::path& link) {
  const fs::path absolute = fs::canonical(target);
  std::error_code code;
  if (fs::read_symlink(link, code) == absolute) return;
  // Renamed into place: another process may be laying the same link.
  const fs::path partial = partial_name_for(link);
  fs::create_symlink(absolute, partial);
  fs::rename(partial, link);
}

std::string quoted(const std::string& word) {
  const bool plain = word.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,+") == std::string::npos;
  return plain && !word.empty() ? word : "'" + word + "'";
}

// `text` with the name of a data set for each {data}; what the name itself holds stays as it is.
std::string with_name(std::string text, const std::string& name) {
  constexpr std::string_view kPlace = "{data}";
  for (size_t at = text.find(kPlace); at != std::string::npos; at = text.find(kPlace, at + name.size()))
    text.replace(at, kPlace.size(), name);
  return text;
}

double number_of(const nlohmann::json& value) {
  if (value.is_null()) return std::numeric_limits<double>::quiet_NaN();
  if (value.is_string()) return value == "-inf" ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
  return value.get<double>();
}

bool is_score(const nlohmann::json& value) { return value.is_null() || value.is_number() || value == "inf" || value == "-inf"; }

// What does not fit would otherwise be printed as a result.
std::vector<double> kept_scores(const fs::path& file, size_t count) {
  const auto json = nlohmann::json::parse(read_file(file), nullptr, false);
  const auto fits = [count](const nlohmann::json& values) {
    return values.is_array() && values.size() == count && std::all_of(values.begin(), values.end(), is_score);
  };
  if (!json.is_object() || !json.contains("values") || !fits(json["values"])) {
    throw DataError(
        fmt::format("{}: is damaged: \"values\" with {} numbers expected; remove it and it is computed again", file.string(), count));
  }
  std::vector<double> scores;
  for (const auto& value : json["values"]) scores.push_back(number_of(value));
  return scores;
}

}  // namespace

StagedSet stage_set(const TestSet& set, const CacheOptions& options) {
  StagedSet staged;
  staged.set = set;
  try {
    staged.pictures = find_test_pictures(set);
  } catch (const UsageError&) {
    throw;
  } catch (const Error& error) {
    staged.missing = {"data set " + set.name, error.what()};
    return staged;
  }
  std::string low, high;
  for (const auto& picture : staged.pictures) {
    low += picture.low.filename().string() + " " + file_hash(picture.low) + "\n";
    if (!picture.high.empty()) high += picture.name + " " + file_hash(picture.high) + "\n";
  }
  staged.low_hash = sha256(low);
  staged.high_hash = sha256(high);
  staged.folder = options.results / "inputs" / sha256(low + high).substr(0, kShortHash);
  for (const auto* part : {"low", "high"}) make_output_folder(staged.folder / part);
  for (auto& picture : staged.pictures) {
    const fs::path low_link = staged.folder / "low" / picture.low.filename();
    link_picture(picture.low, low_link);
    picture.low = low_link;
    if (picture.high.empty()) continue;
    const fs::path high_link = staged.folder / "high" / (picture.name + picture.high.extension().string());
    link_picture(picture.high, high_link);
    picture.high = high_link;
  }
  return staged;
}

fs::path experiment_of(const MethodEntry& method, const fs::path& file, const std::string& common_overlay, const CacheOptions& options) {
  if (method.experiment.empty()) return {};
  const std::string& overlay_name = method.overlay.empty() ? common_overlay : method.overlay;
  const fs::path folder = file.parent_path(), own = (folder / method.experiment).lexically_normal();
  if (overlay_name.empty()) return own;
  const fs::path overlay = (folder / overlay_name).lexically_normal();
  const std::string text =
      fmt::format("# {} with the networks of {}\nextends = [{}, {}]\n", own.filename().string(), overlay.filename().string(),
                  toml_text(std::string_view(fs::absolute(own).lexically_normal().string())),
                  toml_text(std::string_view(fs::absolute(overlay).lexically_normal().string())));
  const fs::path composed = options.results / "experiments" / fmt::format("{}-{}.toml", own.stem().string(), sha256(text).substr(0, 8));
  make_output_folder(composed.parent_path());
  if (!fs::exists(composed)) write_file_atomically(composed, text);
  return composed;
}

DataError with_advice(const DataError& error, const fs::path& folder) {
  const std::string what = error.what();
  return DataError(what.starts_with((folder / "").string()) ? what + "; remove it and it is computed again" : what);
}

CachedRun::CachedRun(const MethodEntry& method, const fs::path& experiment_file, std::shared_ptr<const StagedSet> data, uint64_t seed,
                     const CacheOptions& options)
    : data_(std::move(data)) {
  if (data_->missing) missing_.push_back(*data_->missing);
  if (!method.images.empty()) {
    find_foreign(method);
  } else {
    if (!fs::is_regular_file(experiment_file))
      throw UsageError(fmt::format("row '{}': there is no experiment {}", method.name, experiment_file.string()));
    const Experiment experiment = load_experiment(experiment_file);
    Recipe recipe{experiment.system, experiment.restore};
    draws_ = !recipe.restore.pre_upsample_only;
    recipe.system.weights = {};
    for (const auto& needed : needed_weights(experiment.system, recipe.restore.pre_upsample_only)) {
      const std::string& name = experiment.system.weights.*needed.file;
      try {
        recipe.system.weights.*needed.file = file_hash(find_needed(experiment, experiment_file, needed, options.weights));
      } catch (const Error& error) {
        missing_.push_back({name, error.what()});
      }
    }
    key_text_ = fmt::format("program {}\ndevice {} {}\nlow {}\n", LPNSR_VERSION, options.device.substr(0, options.device.find(':')),
                            options.precision, data_->low_hash);
    if (draws_) key_text_ += fmt::format("seed {}\n", seed);
    if (experiment.system.sampling.noise == "optimal") key_text_ += fmt::format("high {}\n", data_->high_hash);
    key_text_ += write_config(fields_of(recipe));
    restore_ = {"-i",
                (data_->folder / "low").string(),
                "--experiment",
                experiment_file.string(),
                "--device",
                options.device,
                "--precision",
                options.precision,
                "--skip-existing"};
    const auto add = [this](const std::string& option, const std::string& value) { restore_.insert(restore_.end(), {option, value}); };
    if (!options.weights.empty()) add("--weights-dir", options.weights.string());
    if (options.threads > 0) add("--threads", std::to_string(options.threads));
    if (draws_) add("--seed", std::to_string(seed));
    if (experiment.system.sampling.noise == "optimal") {
      if (data_->set.high.empty())
        missing_.push_back(
            {"true pictures of " + data_->set.name, "the optimal noise (Eq. 9) is computed from them, and the set has none"});
      add("--reference", (data_->folder / "high").string());
    }
  }
  key_ = sha256(key_text_).substr(0, kShortHash);
  folder_ = options.results / "cells" / key_;
  if (!foreign())
    restore_.insert(restore_.end(), {"-o", (folder_ / "restored").string() + "/", "--times", (folder_ / "times.jsonl").string()});
}

void CachedRun::find_foreign(const MethodEntry& method) {
  const std::string folder = with_name(method.images, data_->set.name);
  images_ = folder;
  if (!fs::is_directory(folder)) {
    missing_.push_back({folder, fmt::format("the folder with the pictures of {}, which are made elsewhere, does not exist", method.name)});
    return;
  }
  const Counterparts counterparts(folder);
  std::vector<std::string> absent;
  key_text_ = "pictures\n";
  for (const auto& picture : data_->pictures) {
    foreign_.push_back(counterparts.of(picture.low));
    if (foreign_.back().empty()) {
      absent.push_back(picture.low.filename().string());
      continue;
    }
    key_text_ += picture.name + " " + file_hash(foreign_.back()) + "\n";
  }
  if (absent.empty()) return;
  const size_t count = absent.size();
  if (absent.size() > 8) absent.resize(8);
  missing_.push_back({folder, fmt::format("lacks {} of the {} pictures of {}: {}{}", count, data_->pictures.size(), data_->set.name,
                                          fmt::join(absent, ", "), count > 8 ? ", …" : "")});
}

std::string CachedRun::command() const {
  if (foreign()) return images_.string();
  std::string text = "lpnsr restore";
  for (const auto& word : restore_) text += " " + quoted(word);
  return text;
}

std::vector<PicturePair> CachedRun::pairs() const {
  std::vector<PicturePair> pairs;
  for (size_t i = 0; i < data_->pictures.size(); ++i) {
    const auto& picture = data_->pictures[i];
    pairs.push_back({foreign() ? foreign_[i] : folder_ / "restored" / (picture.name + ".png"), picture.high});
  }
  return pairs;
}

// The mark alone is not enough: a picture may have been lost since, or removed because it was damaged.
bool CachedRun::restored() const {
  if (!missing_.empty()) return false;
  if (foreign()) return true;
  const auto all = pairs();
  return fs::is_regular_file(folder_ / "restored.json") &&
         std::all_of(all.begin(), all.end(), [](const PicturePair& pair) { return fs::is_regular_file(pair.picture); });
}

void CachedRun::restore() const {
  if (restored()) return;
  make_output_folder(folder_ / "restored");
  write_file_atomically(folder_ / "key.txt", key_text_);
  remove_partial_files(folder_ / "restored");
  run_restore(restore_);
  write_file_atomically(folder_ / "restored.json",
                        nlohmann::json{{"pictures", data_->pictures.size()}, {"command", command()}}.dump(2) + "\n");
}

fs::path CachedRun::score_file(const Metric& metric) const {
  const std::string key = fmt::format("program {}\n{} [{}]\n{}", LPNSR_VERSION, metric.name, full_protocol(metric),
                                      metric.needs_reference() ? data_->high_hash : "");
  return folder_ / "scores" / (sha256(key).substr(0, kShortHash) + ".json");
}

bool CachedRun::scored(const Metric& metric) const { return fs::is_regular_file(score_file(metric)) && restored(); }

Evaluation CachedRun::evaluated(const Metric& metric) const {
  try {
    return evaluate(pairs(), {metric});
  } catch (const DataError& error) {
    throw with_advice(error, folder_);
  }
}

void CachedRun::score(const Metric& metric) const {
  if (scored(metric)) return;
  make_output_folder(folder_ / "scores");
  const Evaluation evaluation = evaluated(metric);
  nlohmann::json values = nlohmann::json::array();
  if (metric.kind == MetricKind::set) {
    values.push_back(json_number(evaluation.sets.front()));
  } else {
    for (const double value : evaluation.values(0)) values.push_back(json_number(value));
  }
  write_file_atomically(score_file(metric),
                        nlohmann::json{{"metric", metric.name}, {"protocol", full_protocol(metric)}, {"values", values}}.dump() + "\n");
}

std::vector<double> CachedRun::scores(const Metric& metric) const {
  return kept_scores(score_file(metric), metric.kind == MetricKind::set ? 1 : data_->pictures.size());
}

double CachedRun::runtime() const {
  std::ifstream lines(folder_ / "times.jsonl");
  std::vector<double> seconds;
  for (std::string line; std::getline(lines, line);) {
    const auto entry = nlohmann::json::parse(line, nullptr, false);
    if (entry.is_object() && entry.contains("seconds") && entry["seconds"].is_number()) seconds.push_back(entry["seconds"].get<double>());
  }
  if (seconds.size() > 1) seconds.erase(seconds.begin());
  return mean_of(seconds);
}

}  // namespace lpnsr
