#pragma once
// A run's folder: config.toml, log.txt, metrics.jsonl, TensorBoard events, samples/, checkpoints/, report.html.
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>

#include <ATen/core/Tensor.h>

namespace lpnsr {

class EventWriter;  // core/tensorboard.h

class RunFolder {
 public:
  // Creates the folder, writes config.toml and attaches log.txt. On a resume metrics.jsonl is cut after `last_step`, so that a step is
  // never reported twice; 0 starts afresh.
  RunFolder(std::filesystem::path path, const std::string& resolved_config, int64_t last_step);
  ~RunFolder();
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }

  void metrics(int64_t step, const std::map<std::string, double>& values);  // a JSON line and TensorBoard scalars
  void sample(int64_t step, const std::string& name,
              const at::Tensor& rgb);  // samples/NAME-STEP.png and a TensorBoard image; [3,H,W] in [0,1]

 private:
  std::filesystem::path path_;
  std::ofstream metrics_;
  std::unique_ptr<EventWriter> events_;
};

}  // namespace lpnsr
