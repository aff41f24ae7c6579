#include "trainers/check_data.h"

#include <algorithm>

#include "core/error.h"
#include "core/image.h"
#include "core/in_order.h"

namespace lpnsr {

DataCheck check_data(const DataOptions& options, int64_t threads, const std::function<void(int64_t total)>& progress) {
  struct Seen {
    int64_t height = 0, width = 0;
    std::string fault;
  };
  const auto paths = find_pictures(options);
  const int64_t needed = std::max(options.crop_size, options.degraded_size);
  const auto look = [&paths](int64_t i) {
    try {
      const Image image = read_image(paths[static_cast<size_t>(i)]);
      return Seen{image.height(), image.width(), ""};
    } catch (const Error& error) {
      return Seen{0, 0, error.what()};
    }
  };
  DataCheck check;
  check.pictures = static_cast<int64_t>(paths.size());
  in_order(check.pictures, threads, look, [&](int64_t i, const Seen& seen) {
    progress(check.pictures);
    const auto& path = paths[static_cast<size_t>(i)];
    if (!seen.fault.empty()) {
      check.unreadable.emplace_back(path, seen.fault);
      return;
    }
    const auto [least, largest] = std::minmax(seen.height, seen.width);
    check.least_side = check.least_side == 0 ? least : std::min(check.least_side, least);
    check.largest_side = std::max(check.largest_side, largest);
    if (least < needed) check.small.push_back(path);
  });
  return check;
}

}  // namespace lpnsr
