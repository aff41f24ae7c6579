#pragma once
// Weight files: PyTorch's .pth/.pt/.ckpt (zip and legacy, through a reader that executes nothing) and .safetensors.
#include <filesystem>
#include <map>
#include <string>

#include "core/byte_source.h"
#include "core/state_dict.h"

namespace lpnsr {

struct WeightsFile {
  StateDict tensors;                            // names as a module wants them
  std::string format;                           // "safetensors", "pytorch-zip", "pytorch-legacy"
  std::string found_under;                      // "params_ema", "state_dict", …, or "" where the file is flat
  std::string stripped_prefix;                  // "module.", "_orig_mod.", … or ""
  std::map<std::string, std::string> metadata;  // of a safetensors file
};

// Finds the weights where the official files have them (params_ema before params, state_dict, model, ema…) and strips `module.`,
// `_orig_mod.` and `module._orig_mod.`. Throws DataError: what is wrong, with the file's name first. Accepts nothing that would need code
// to run. The tensors of a file that is mapped lie in it.
WeightsFile read_weights(const std::filesystem::path& path, FileAccess access = FileAccess::copied);

// Every tensor of a safetensors file as it is: no nesting, no prefix.
WeightsFile read_safetensors(const std::filesystem::path& path, FileAccess access = FileAccess::copied);

// Written atomically (core/files.h); tensors may live on any device.
void write_safetensors(const std::filesystem::path& path, const StateDict& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace lpnsr
