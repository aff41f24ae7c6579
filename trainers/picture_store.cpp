#include "trainers/picture_store.h"

#include "core/error.h"
#include "core/image.h"
#include "core/log.h"

namespace lpnsr {

Picture halved(const Picture& picture) {
  Picture half{.height = picture.height / 2, .width = picture.width / 2, .levels = {}, .values = {}, .name = picture.name};
  half.values.reserve(static_cast<size_t>(3 * half.height * half.width));
  for (int64_t c = 0; c < 3; ++c) {
    for (int64_t y = 0; y < half.height; ++y) {
      for (int64_t x = 0; x < half.width; ++x) {
        const float upper = picture.at(c, 2 * y, 2 * x) + picture.at(c, 2 * y, 2 * x + 1);
        const float lower = picture.at(c, 2 * y + 1, 2 * x) + picture.at(c, 2 * y + 1, 2 * x + 1);
        half.values.push_back(0.25F * (upper + lower));
      }
    }
  }
  return half;
}

PictureStore::PictureStore(const DataOptions& options)
    : paths_(find_pictures(options)), halve_above_(options.halve_above), cache_(options.cache), skip_unreadable_(options.skip_unreadable) {
  if (cache_) kept_.resize(paths_.size());
  unreadable_.resize(paths_.size());
}

std::shared_ptr<const Picture> PictureStore::load(int64_t index) const {
  const Image image = read_image(paths_[static_cast<size_t>(index)]);
  auto picture = std::make_shared<Picture>();
  picture->name = paths_[static_cast<size_t>(index)].string();
  picture->height = image.height(), picture->width = image.width();
  const float* values = image.rgb.data_ptr<float>();
  const auto count = static_cast<size_t>(image.rgb.numel());
  if (image.bit_depth == 8) {
    picture->levels.resize(count);
    for (size_t i = 0; i < count; ++i) picture->levels[i] = static_cast<uint8_t>(values[i] * 255.0F + 0.5F);
  } else {
    picture->values.assign(values, values + count);
  }
  const auto too_large = [&] {
    return std::max(picture->height, picture->width) > halve_above_ && std::min(picture->height, picture->width) > 1;
  };
  while (halve_above_ > 0 && too_large()) *picture = halved(*picture);
  return picture;
}

std::shared_ptr<const Picture> PictureStore::get(int64_t index) {
  const auto i = static_cast<size_t>(index);
  {
    const std::lock_guard lock(mutex_);
    if (cache_ && kept_[i] != nullptr) return kept_[i];
    if (unreadable_[i]) return nullptr;
  }
  try {
    auto picture = load(index);
    if (cache_) {
      const std::lock_guard lock(mutex_);
      kept_[i] = picture;
    }
    return picture;
  } catch (const Error& error) {
    if (!skip_unreadable_) throw;
    const std::lock_guard lock(mutex_);
    if (!unreadable_[i]) log_warning("skipped: {}", error.what());
    unreadable_[i] = true;
    return nullptr;
  }
}

}  // namespace lpnsr
