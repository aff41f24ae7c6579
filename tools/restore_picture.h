#pragma once
// One picture of `lpnsr restore`: how much memory it may take, how often it is sampled, what is written of it.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/image.h"
#include "diffusion/pre_upsampling.h"
#include "diffusion/restorer.h"
#include "tools/picture_jobs.h"
#include "tools/restore_output.h"

namespace lpnsr {

struct MemoryChoice {
  enum class Kind { as_needed, published, automatic, given };  // as_needed: as published where that fits, else within what is free
  Kind kind = Kind::as_needed;
  double gib = 0.0;
};
// "" (the configuration's number, or as needed where that is 0), "auto", "off" or GiB. Throws UsageError.
MemoryChoice parse_memory(const std::string& text, double configured);

// A picture as read, with its true picture where the noise asks for one.
struct RestoreInput {
  Image picture;
  std::optional<at::Tensor> truth;
};

struct PictureRestorer {
  std::optional<Restorer> restorer;
  std::optional<PreUpsampling> upsampling;  // instead of the restorer, where only the start of the chain is written
  int64_t network_scale = 4;
  double scale = 4.0;  // of the written pictures
  uint64_t seed = 0;
  int64_t seeds = 1;  // samples a picture: seed, seed + 1, …
  MemoryChoice memory;
  std::filesystem::path noise_maps, intermediate;  // empty: not written (tools/chain_pictures.h)

  // The result and, of several samples, NAME-seedN for the others, NAME-mean and NAME-spread.png: four times the standard deviation, so
  // that it can be seen, in 16 bits.
  std::vector<std::filesystem::path> outputs(const PictureJob& job) const;
  // Throws Error where the picture cannot be restored or written.
  void run(const PictureJob& job, const RestoreInput& input);

 private:
  template <class Restoring>  // Restorer or PreUpsampling
  void choose_memory(Restoring& restoring, const Image& picture);
  void sample(const PictureJob& job, const RestoreInput& input, int64_t index, const std::filesystem::path& file, const TakeRestored& also);

  std::pair<int64_t, int64_t> last_size_;
  double at_hand_ = 0.0;  // GiB, found out once for pictures of a size: freed memory stays with the process
};

}  // namespace lpnsr
