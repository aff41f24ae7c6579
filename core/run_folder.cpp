#include "core/run_folder.h"

#include <cmath>
#include <sstream>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "core/image.h"
#include "core/json_text.h"
#include "core/log.h"
#include "core/tensorboard.h"

namespace lpnsr {
namespace {

using Json = nlohmann::ordered_json;

// Drops what lies after `last_step` and what a kill left half-written.
void cut_metrics(const std::filesystem::path& path, int64_t last_step) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return;
  const std::string before = read_file(path);
  std::istringstream lines(before);
  std::string kept;
  for (std::string line; std::getline(lines, line);) {
    const Json entry = Json::parse(line, nullptr, false);
    if (!entry.is_object() || !entry.contains("step") || !entry["step"].is_number_integer()) continue;
    if (last_step > 0 && entry["step"].get<int64_t>() <= last_step) kept += line + "\n";
  }
  if (kept != before) write_file_atomically(path, kept);
}

}  // namespace

RunFolder::RunFolder(std::filesystem::path path, const std::string& resolved_config, int64_t last_step) : path_(std::move(path)) {
  make_output_folder(checkpoints());
  make_output_folder(path_ / "samples");
  for (const auto& folder : {path_, checkpoints(), path_ / "samples"}) remove_partial_files(folder);
  write_file_atomically(path_ / "config.toml", resolved_config);
  cut_metrics(path_ / "metrics.jsonl", last_step);
  metrics_.open(path_ / "metrics.jsonl", std::ios::app);
  if (!metrics_) throw Error(fmt::format("{}: cannot be written", (path_ / "metrics.jsonl").string()));
  events_ = std::make_unique<EventWriter>(path_, last_step);
  attach_log_file(path_ / "log.txt");
}

RunFolder::~RunFolder() { detach_log_file(); }

void RunFolder::metrics(int64_t step, const std::map<std::string, double>& values) {
  Json entry = {{"step", step}};
  for (const auto& [name, value] : values) entry[name] = std::isfinite(value) ? Json(value) : Json(nullptr);
  metrics_ << json_text(entry) + "\n" << std::flush;
  if (!metrics_) throw Error(fmt::format("{}: cannot be written; is the disk full?", (path_ / "metrics.jsonl").string()));
  for (const auto& [name, value] : values) events_->scalar(name, step, static_cast<float>(value));
}

void RunFolder::sample(int64_t step, const std::string& name, const at::Tensor& rgb) {
  const std::string png = encode_png(rgb);
  write_file_atomically(path_ / "samples" / fmt::format("{}-{}.png", name, step), png);
  events_->png(name, step, png, rgb.size(1), rgb.size(2));
}

}  // namespace lpnsr
