#include "trainers/ranks.h"

#include <charconv>
#include <cstdlib>
#include <gloo/common/error.h>

#include <fmt/format.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#ifdef LPNSR_CUDA
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif

#include "core/error.h"
#include "trainers/process_group.h"

namespace lpnsr {
namespace {

std::optional<std::string> variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr || *value == '\0' ? std::nullopt : std::optional<std::string>(value);
}

int64_t number(const char* name, const std::string& text, int64_t least, int64_t largest) {
  int64_t value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc() || end != text.data() + text.size() || value < least || value > largest) {
    throw UsageError(fmt::format("${}='{}': a number from {} to {} was expected", name, text, least, largest));
  }
  return value;
}

int64_t number(const char* name, int64_t least, int64_t largest) {
  const auto text = variable(name);
  if (!text) throw UsageError(fmt::format("${} is not set, though other variables of a distributed run are", name));
  return number(name, *text, least, largest);
}

// The first host of "gpu[03-07,12],other": "gpu03".
std::string first_host(const std::string& list) {
  const size_t bracket = list.find('[');
  if (bracket == std::string::npos || bracket > list.find(',')) return list.substr(0, list.find(','));
  return list.substr(0, bracket) + list.substr(bracket + 1, list.find_first_of(",-]", bracket) - bracket - 1);
}

constexpr int64_t kMostRanks = 65536;

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

RankSettings rank_settings_from_environment() {
  RankSettings settings;
  if (variable("WORLD_SIZE") || variable("RANK")) {
    settings.count = number("WORLD_SIZE", 1, kMostRanks);
    settings.rank = number("RANK", 0, settings.count - 1);
    settings.local_rank = variable("LOCAL_RANK") ? number("LOCAL_RANK", 0, settings.count - 1) : settings.rank;
    if (settings.count == 1) return settings;
    const auto address = variable("MASTER_ADDR");
    if (!address) throw UsageError("$MASTER_ADDR is not set: it names the machine of rank 0");
    settings.address = *address;
    settings.port = static_cast<uint16_t>(number("MASTER_PORT", 1, 65535));
    if (settings.rank == 0 && variable("LPNSR_LISTENING_SOCKET")) {
      settings.listening_socket = static_cast<int>(number("LPNSR_LISTENING_SOCKET", 0, 1 << 20));
    }
    return settings;
  }
  // Set by srun for the tasks of a step; a batch script itself has none.
  if (variable("SLURM_STEP_NUM_TASKS") && variable("SLURM_PROCID")) {
    settings.count = number("SLURM_STEP_NUM_TASKS", 1, kMostRanks);
    settings.rank = number("SLURM_PROCID", 0, settings.count - 1);
    settings.local_rank = number("SLURM_LOCALID", 0, settings.count - 1);
    if (settings.count == 1) return settings;
    const auto hosts = variable("SLURM_STEP_NODELIST");
    if (!hosts) throw UsageError("$SLURM_STEP_NODELIST is not set, though other variables of a Slurm step are");
    settings.address = variable("MASTER_ADDR").value_or(first_host(*hosts));
    // Jobs on one machine get ports of their own.
    settings.port = static_cast<uint16_t>(variable("MASTER_PORT") ? number("MASTER_PORT", 1, 65535)
                                                                  : 15000 + number("SLURM_JOB_ID", 0, INT64_MAX) % 20000);
  }
  return settings;
}

Ranks::Ranks(const RankSettings& settings, c10::Device device, std::chrono::seconds patience)
    : rank_(settings.rank), count_(settings.count) {
  if (count_ == 1) return;
  try {
    c10d::TCPStoreOptions options;
    options.port = settings.port;
    options.isServer = rank_ == 0;
    options.numWorkers = static_cast<size_t>(count_);
    options.timeout = patience;
    options.masterListenFd = settings.listening_socket;
    const c10::intrusive_ptr<c10d::Store> store = c10::make_intrusive<c10d::TCPStore>(settings.address, options);
    const auto rank = static_cast<int>(rank_), size = static_cast<int>(count_);
    group_ = std::make_shared<Group>(Group{c10::make_intrusive<c10d::ProcessGroup>(store, rank, size)});
    c10d::ProcessGroup& processes = *group_->processes;
    // Each kind of exchange meets under keys of its own.
    const auto keys = [&store](const char* prefix) { return c10::make_intrusive<c10d::PrefixStore>(prefix, store); };
    const auto gloo =
        c10::make_intrusive<c10d::ProcessGroupGloo>(keys("cpu"), rank, size, c10d::ProcessGroupGloo::Options::create_default(patience));
    processes.setBackend(c10::kCPU, c10d::ProcessGroup::BackendType::GLOO, c10::intrusive_ptr<c10d::Backend>(gloo));
    processes.setDefaultBackend(c10d::ProcessGroup::BackendType::GLOO);
#ifdef LPNSR_CUDA
    if (device.is_cuda()) {
      auto nccl_options = c10d::ProcessGroupNCCL::Options::create();
      nccl_options->timeout = patience;
      const auto nccl = c10::make_intrusive<c10d::ProcessGroupNCCL>(keys("cuda"), rank, size, nccl_options);
      processes.setBackend(c10::kCUDA, c10d::ProcessGroup::BackendType::NCCL, c10::intrusive_ptr<c10d::Backend>(nccl));
      processes.setDefaultBackend(c10d::ProcessGroup::BackendType::NCCL);
    }
#else
    static_cast<void>(device);
#endif
    at::Tensor met = torch::ones({1});
    sum(met);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw Error(fmt::format("rank {} of {} could not meet the others at {}:{} within {} s: {}", rank_, count_, settings.address,
                            settings.port, patience.count(), first_line(error.what())));
  }
}

void communicate(const Ranks& ranks, const std::function<void()>& exchange) {
  std::string what;
  try {
    return exchange();
  } catch (const c10::DistError& error) {  // NCCL and the store
    what = error.what_without_backtrace();
  } catch (const gloo::Exception& error) {
    what = error.what();
  }
  throw Error(
      fmt::format("rank {} of {}: another rank is gone or silent for longer than training.patience ({})\n"
                  "  its own messages say why; --resume auto goes on from the last checkpoint",
                  ranks.rank(), ranks.count(), first_line(what)));
}

void Ranks::sum(at::Tensor tensor) const {
  if (!group_) return;
  std::vector<at::Tensor> tensors{std::move(tensor)};
  communicate(*this, [&] { group_->processes->allreduce(tensors)->wait(); });
}

void Ranks::copy_from_first(at::Tensor tensor) const {
  if (!group_) return;
  std::vector<at::Tensor> tensors{std::move(tensor)};
  communicate(*this, [&] { group_->processes->broadcast(tensors)->wait(); });
}

}  // namespace lpnsr
