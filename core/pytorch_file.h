#pragma once
// Files of torch.save: today's zip archive and the format before PyTorch 1.6; and the data of a TorchScript archive.
#include <memory>
#include <string>

#include "core/pickle.h"
#include "core/pytorch_storage.h"

namespace lpnsr {

class PytorchFile {
 public:
  // The source must outlive the file. Throws DataError: truncated, a bare pickle, big-endian, …
  explicit PytorchFile(const ByteSource& source);

  const std::string& format() const { return format_; }  // "pytorch-zip" or "pytorch-legacy"
  bool is_script() const { return is_script_; }          // a TorchScript archive, whose modules are objects
  const PickleTree& tree() const { return tree_; }
  // Whether the value is a tensor or Parameter, judged by how it is made, not by whether it can be read.
  bool is_tensor(PickleId id) const;
  // Contiguous, of the file's type. `name` is for messages. Tensors that shared memory when they were saved may share it again.
  at::Tensor tensor(PickleId id, const std::string& name) const;

 private:
  struct TensorCall {
    std::string maker;
    PickleId arguments;
  };
  TensorCall unwrap(PickleId id, const std::string& name) const;
  void open_zip();
  void open_legacy();
  const ByteSource& source_;
  std::string format_;
  bool is_script_ = false;
  PickleTree tree_;
  std::unique_ptr<ZipArchive> archive_;
  std::unique_ptr<StorageReader> storages_;
};

}  // namespace lpnsr
