#include <cstdlib>
#include <sys/resource.h>

#include "core/memory.h"
#include "tests/support/fixtures.h"

namespace lpnsr {
namespace {

TEST(Allocator, KeepsFreedMemory) {
  keep_allocator_memory();
  constexpr size_t kBytes = size_t{48} << 20;
  const auto fill = [] {
    const std::unique_ptr<char, decltype(&std::free)> block(static_cast<char*>(std::malloc(kBytes)), &std::free);
    for (size_t i = 0; i < kBytes; i += 4096) static_cast<volatile char*>(block.get())[i] = 1;
  };
  const auto faults = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
  };
  fill();
  const long before = faults();
  for (int i = 0; i < 5; ++i) fill();
  EXPECT_LT(faults() - before, 2000);  // 5 x 12288 where every block is given back
}

TEST(Allocator, GivesBackWhatLiesBetweenUsedBlocks) {
  keep_allocator_memory();
  constexpr int64_t kBlocks = 40;
  constexpr size_t kBytes = size_t{4} << 20;
  std::vector<std::unique_ptr<char[]>> large, small;
  for (int64_t i = 0; i < kBlocks; ++i) {
    large.push_back(std::make_unique<char[]>(kBytes));  // zeroed, so resident
    small.push_back(std::make_unique<char[]>(64));
  }
  large.clear();
  const int64_t kept = resident_memory();
  give_back_freed_memory();
  EXPECT_LT(resident_memory(), kept - kBlocks / 2 * static_cast<int64_t>(kBytes));
}

}  // namespace
}  // namespace lpnsr
