#pragma once
// Training pictures as users have them, and the loader: the same batches for any number of workers and after a resume.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "core/config.h"
#include "degradation/parameters.h"

namespace lpnsr {

struct DataOptions {
  std::vector<std::string> folders;  // searched recursively; "PATH:N" takes the first N by name (FFHQ's first 10k)
  std::vector<std::string> lists;    // text files with one path a line, relative to the list
  int64_t crop_size = 256;           // of the target
  std::string crop = "random";       // random | centred | square: see draw_crop
  int64_t degraded_size = 0;         // side that is degraded before the pair is cut out of it (Real-ESRGAN: 400); 0: crop_size
  int64_t halve_above = 0;           // pictures are halved by area averaging until their long side is no longer; 0: never
  bool flip = true;
  bool rotate = true;  // quarter turns
  int64_t workers = 2;
  int64_t prefetch = 4;                // batches ready in advance
  std::string degrade_on = "workers";  // workers | device
  int64_t pair_pool = 0;               // pairs that are mixed before they are handed out, a multiple of the batch; 0: none
  bool cache = false;                  // keep decoded pictures (8 bit) in memory
  bool skip_unreadable = true;         // a damaged picture is named and left out; false: it ends the run
  void fields(FieldVisitor& v);
};

// Every picture of the folders and lists, sorted, without duplicates. Throws UsageError where a folder is missing or holds none.
std::vector<std::filesystem::path> find_pictures(const DataOptions& options);

struct Batch {
  at::Tensor hr;  // [N,3,crop,crop] in [0,1]
  at::Tensor lr;  // [N,3,crop/scale,crop/scale] in [0,1]; undefined until degrade_on_device where data.degrade_on = "device"
  std::vector<DegradationParameters> parameters = {};  // what was drawn for it
  std::vector<std::string> names = {};                 // of its pictures
};

// Fills `lr` on the device of `hr` where the workers did not.
void degrade_on_device(Batch& batch);

// Sample number p (counted from the start of training) is picture shuffle(epoch)[p mod n], cropped, turned and degraded by draws of the
// stream (seed, "sample", p) alone (and of (seed, "batch", p / batch) with degradation.draws = "batch"); a pair pool alters nothing but the
// order. So the position is the loader's whole state. Of each batch a rank gets the places that are its own: neither the number of ranks
// nor that of workers changes what is in a batch.
class TrainingLoader {
 public:
  struct Share {
    int64_t rank = 0, ranks = 1;
  };
  // `batch_size`: of all ranks together, a multiple of their number.
  TrainingLoader(const DataOptions& data, const DegradationOptions& degradation, uint64_t seed, int64_t batch_size, int64_t first_sample,
                 Share share);
  TrainingLoader(const DataOptions& data, const DegradationOptions& degradation, uint64_t seed, int64_t batch_size,
                 int64_t first_sample = 0)
      : TrainingLoader(data, degradation, seed, batch_size, first_sample, Share{}) {}
  ~TrainingLoader();
  Batch next();              // of this rank; throws what a worker threw
  int64_t position() const;  // samples handed out to all ranks, counted from the start of training
  int64_t pictures() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lpnsr
