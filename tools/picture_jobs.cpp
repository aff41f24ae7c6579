#include "tools/picture_jobs.h"

#include <map>

#include <fmt/ranges.h>

#include "core/error.h"
#include "core/files.h"

namespace lpnsr {
namespace {

namespace fs = std::filesystem;

PictureJob into_folder(const fs::path& input, const fs::path& base, const fs::path& output, const std::string& suffix,
                       const std::string& extension) {
  const fs::path relative = input.lexically_proximate(base);
  const fs::path name = relative.parent_path() / (relative.stem().string() + suffix);
  const std::string file = name.string() + (extension.empty() ? input.extension().string() : extension);
  return {input, output / file, name.generic_string(), relative.generic_string()};
}

void refuse_overwriting(const std::vector<PictureJob>& jobs) {
  std::map<fs::path, fs::path> written, read;
  for (const auto& job : jobs) read.emplace(fs::weakly_canonical(job.input), job.input);
  for (const auto& job : jobs) {
    const auto target = fs::weakly_canonical(job.output);
    if (read.contains(target)) {
      throw UsageError(fmt::format("{} would be overwritten by a result; choose another --output or a --suffix", job.output.string()));
    }
    const auto [other, fresh] = written.emplace(target, job.input);
    if (!fresh) {
      throw UsageError(fmt::format("{} and {} would both be written to {}; they need different folders", other->second.string(),
                                   job.input.string(), job.output.string()));
    }
  }
}

}  // namespace

std::vector<PictureJob> plan_pictures(const fs::path& input, const fs::path& output, const std::string& suffix,
                                      const std::string& extension) {
  if (!fs::exists(input)) throw Error(fmt::format("{}: does not exist", input.string()));
  const bool output_is_folder = fs::is_directory(output) || !output.has_filename();
  std::vector<PictureJob> jobs;
  if (fs::is_directory(input)) {
    if (fs::exists(output) && !fs::is_directory(output)) {
      throw UsageError(fmt::format("{} is a folder, so the output must be one too, but {} is a file", input.string(), output.string()));
    }
    for (const auto& path : list_images(input, /*recursive=*/true)) jobs.push_back(into_folder(path, input, output, suffix, extension));
    if (jobs.empty()) throw Error(fmt::format("{}: holds no pictures", input.string()));
  } else if (output_is_folder) {
    jobs.push_back(into_folder(input, input.parent_path(), output, suffix, extension));
  } else {
    jobs.push_back({input, output, output.stem().string(), input.filename().string()});
  }
  refuse_overwriting(jobs);
  return jobs;
}

void PictureFaults::add(const fs::path& picture, const std::exception& error) {
  const std::string what = message_of(error), name = picture.string();
  faults_.push_back(what.find(name) == std::string::npos ? name + ": " + what : what);
}

void PictureFaults::throw_if_any() const {
  if (faults_.empty()) return;
  if (pictures_ == 1) throw Error(faults_.front());
  throw Error(fmt::format("{} of {} pictures could not be {}:\n  {}", faults_.size(), pictures_, done_, fmt::join(faults_, "\n  ")));
}

}  // namespace lpnsr
