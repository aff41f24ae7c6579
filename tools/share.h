#pragma once
// Which part of a list of independent pieces of work this process has.
#include <cstdint>
#include <vector>

#include "tools/commands.h"

namespace lpnsr {

struct Share {
  int64_t index = 0, count = 1;
  bool helps = false;  // takes over what others have not begun once its own part is done
  bool alone() const { return count == 1; }
  // 0 … total-1: its own part first, then what it may take over.
  std::vector<int64_t> order(int64_t total) const;
};

// Of a Slurm array (SLURM_ARRAY_TASK_ID, …), or of the processes of --processes, torchrun or srun; else all. Throws UsageError where the
// variables make no sense.
Share share_from_environment();

// `device`, or for "cuda" of several processes on one machine one of its GPUs each in turn.
std::string device_of_share(const std::string& device, const Share& share);

// `arguments` without --NAME VALUE and --NAME=VALUE.
Arguments without_option(const Arguments& arguments, const std::string& name);

}  // namespace lpnsr
