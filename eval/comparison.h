#pragma once
// Several methods on the same pictures, with several seeds each: a table with mean and spread, and a page with the pictures side by side.
#include <filesystem>
#include <string>
#include <vector>

#include "core/config.h"
#include "eval/evaluate.h"
#include "eval/table.h"

namespace lpnsr {

// compare.toml. Paths are relative to the file. `names` and `folders` belong together one to one; a folder may be a pattern such as
// "restored/predictor/seed*", whose matches are the method's seeds.
struct ComparisonOptions {
  std::string title = "Comparison";
  std::vector<std::string> names, folders;
  std::string reference;
  std::string low_resolution;                           // for the pictures of the page; empty: none are shown
  std::vector<std::string> noise_names, noise_folders;  // pictures PICTURE-LABEL.png, one row a picture
  std::vector<std::string> run_names, runs;             // run folders whose curves are shown
  std::vector<std::string> metrics;                     // empty: each whose weights are there
  std::string protocol = "lpnsr", channel = "y";
  int64_t crop = -1;
  int64_t shown = 8;  // pictures on the page
  void fields(FieldVisitor& v);
};

// Throws UsageError that says what does not fit together.
ComparisonOptions read_comparison(const std::filesystem::path& file, const std::vector<std::string>& overrides = {});

struct SeedResult {
  std::filesystem::path folder;
  std::vector<PicturePair> pairs;  // sorted by reference
  Evaluation evaluation;
};

struct MethodResult {
  std::string name;
  std::vector<SeedResult> seeds;
};

struct Comparison {
  std::vector<Metric> metrics;
  std::vector<MethodResult> methods;
  // Mean over seeds of the mean over pictures, and the standard deviation (n-1) of the latter over seeds where there are several.
  std::vector<TableRow> rows() const;
  std::vector<Column> columns() const;
  std::string csv() const;  // method,seed,picture,psnr,…
};

// Throws Error where a method lacks a picture that another one has.
Comparison compare(const ComparisonOptions& options, const std::filesystem::path& weights, c10::Device device);

// table.md, scores.csv and report.html in `output`.
void write_comparison(const Comparison& comparison, const ComparisonOptions& options, const std::filesystem::path& output);

}  // namespace lpnsr
