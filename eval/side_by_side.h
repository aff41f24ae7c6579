#pragma once
// Several methods on the same pictures: means with intervals, the best and second best of each metric, and how sure the differences are.
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "eval/evaluate.h"
#include "eval/table.h"

namespace lpnsr {

struct MethodFolder {
  std::string name;
  std::filesystem::path folder;
};
// "A=DIR" or "DIR", which is called by its last part. Throws UsageError where a name is empty or stands twice.
std::vector<MethodFolder> parse_methods(const std::vector<std::string>& texts);

struct MethodScores {
  std::string name;
  Evaluation evaluation;
};

class SideBySide {
 public:
  // Two methods or more. Throws Error where a method lacks a picture that the first has, naming both.
  SideBySide(const std::vector<MethodFolder>& methods, const std::filesystem::path& references, const std::vector<Metric>& metrics);
  const std::vector<MethodScores>& methods() const { return methods_; }
  // Means with 95% intervals, then each method's difference from the best one with the paired test's p-value.
  std::string markdown() const;
  std::string latex() const;    // a tabular in booktabs' style
  std::string csv() const;      // method,picture,psnr,…; each method ends with AVERAGE
  nlohmann::json json() const;  // each method's evaluation, and every pair's differences and p-values

 private:
  std::vector<TableRow> rows() const;
  std::string difference_table() const;
  std::vector<Metric> metrics_;
  std::vector<Column> columns_;
  std::vector<MethodScores> methods_;
};

}  // namespace lpnsr
