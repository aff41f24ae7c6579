#pragma once
// A cell of a table: one method on one data set with one seed. Its pictures and scores are kept under a hash of everything that they depend
// on, so that a cell is computed once, whichever tables and figures show it.
//   RESULTS/inputs/HASH/low, high         links to the pictures of a data set, the true ones under the LR ones' names
//   RESULTS/experiments/NAME-HASH.toml    an experiment with an overlay
//   RESULTS/cells/KEY/key.txt             what the key is the hash of
//   RESULTS/cells/KEY/restored/, times.jsonl, restored.json    pictures, seconds, and the mark that all were made
//   RESULTS/cells/KEY/scores/HASH.json    scores of one metric
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "eval/evaluate.h"
#include "eval/metric.h"
#include "eval/pairing.h"
#include "eval/table_file.h"
#include "eval/test_set.h"
#include "tools/commands.h"

namespace lpnsr {

struct CacheOptions {
  std::filesystem::path results = "results";
  std::filesystem::path weights;
  std::string device = "cpu", precision = "fp32";
  int64_t threads = 0;
};

// What keeps a run from being made.
struct Missing {
  std::string file;   // or folder
  std::string where;  // what it is and where it comes from
};

// A data set, found and linked under RESULTS/inputs.
struct StagedSet {
  TestSet set;
  std::vector<TestPicture> pictures;  // empty where something is missing
  std::optional<Missing> missing;
  std::string low_hash, high_hash;  // of names and contents
  std::filesystem::path folder;
};
StagedSet stage_set(const TestSet& set, const CacheOptions& options);

// The error with what to do, where it names a file below `folder`, a cell or the folder of all: what is gone is computed again.
DataError with_advice(const DataError& error, const std::filesystem::path& folder);

class CachedRun {
 public:
  // `base`: the file that the method's experiment is relative to. Throws UsageError where the experiment cannot be right.
  CachedRun(const MethodEntry& method, const std::filesystem::path& experiment, std::shared_ptr<const StagedSet> data, uint64_t seed,
            const CacheOptions& options);

  const std::vector<Missing>& missing() const { return missing_; }
  bool foreign() const { return restore_.empty(); }  // pictures made elsewhere
  bool draws() const { return draws_; }              // whether the seed matters
  const std::string& key() const { return key_; }
  const std::filesystem::path& folder() const { return folder_; }
  std::string command() const;  // as a person would type it; the folder of pictures made elsewhere
  const StagedSet& data() const { return *data_; }

  // Pairs of results and true pictures, whether they are there yet or not.
  std::vector<PicturePair> pairs() const;
  bool restored() const;
  bool scored(const Metric& metric) const;
  void restore() const;                    // what is not there yet
  void score(const Metric& metric) const;  // restored() must hold
  // For each picture; of a metric of sets one value.
  std::vector<double> scores(const Metric& metric) const;
  // Seconds a picture: their mean without the first, which pays for warming up; NaN where none were measured.
  double runtime() const;

 private:
  Evaluation evaluated(const Metric& metric) const;
  std::filesystem::path score_file(const Metric& metric) const;
  void find_foreign(const MethodEntry& method);
  std::shared_ptr<const StagedSet> data_;
  Arguments restore_;
  std::vector<std::filesystem::path> foreign_;  // for each picture
  std::filesystem::path images_;
  std::vector<Missing> missing_;
  bool draws_ = false;
  std::string key_, key_text_;
  std::filesystem::path folder_;
};

// The experiment file of a method: its own, or with an overlay one below RESULTS/experiments that extends both.
// `file`: the table or figure that both are relative to.
std::filesystem::path experiment_of(const MethodEntry& method, const std::filesystem::path& file, const std::string& overlay,
                                    const CacheOptions& options);

}  // namespace lpnsr
