#pragma once
// The processes that train together, one rank each. A run of one process is a group of one that never communicates.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <ATen/core/Tensor.h>

namespace lpnsr {

struct RankSettings {
  int64_t rank = 0, count = 1;
  int64_t local_rank = 0;  // among the ranks of this machine: the number of its GPU
  std::string address = "127.0.0.1";
  uint16_t port = 0;
  std::optional<int> listening_socket = {};  // of rank 0, where its starter has bound the port
};

// Of torchrun's variables (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT), or of a Slurm job step's (SLURM_PROCID,
// SLURM_STEP_NUM_TASKS, …); one rank where there are neither. Throws UsageError where they are incomplete or make no sense.
RankSettings rank_settings_from_environment();

class Ranks {
 public:
  Ranks() = default;
  // Meets the other ranks: NCCL between GPUs, gloo between CPUs, a TCPStore on rank 0. Throws Error where they do not all come, and so does
  // everything below when a rank is gone or silent for longer than `patience`.
  Ranks(const RankSettings& settings, c10::Device device, std::chrono::seconds patience);

  int64_t rank() const { return rank_; }
  int64_t count() const { return count_; }
  bool first() const { return rank_ == 0; }

  void sum(at::Tensor tensor) const;              // in place, over all ranks
  void copy_from_first(at::Tensor tensor) const;  // rank 0's values into everyone's

  // A c10d::ProcessGroup, null for one rank (trainers/gradient_average.cpp).
  struct Group;
  const std::shared_ptr<Group>& group() const { return group_; }

 private:
  int64_t rank_ = 0, count_ = 1;
  std::shared_ptr<Group> group_;
};

// Runs what communicates, perhaps among other things. A failure of the exchange becomes an Error that says what may have happened; any
// other, such as memory that is used up, passes as it is.
void communicate(const Ranks& ranks, const std::function<void()>& exchange);

}  // namespace lpnsr
