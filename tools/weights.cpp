// lpnsr weights list|fetch|verify|add: the published checkpoints by name.
#include <iostream>

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "core/checkpoint.h"
#include "core/error.h"
#include "core/files.h"
#include "core/json_text.h"
#include "core/log.h"
#include "core/published_weights.h"
#include "diffusion/system.h"
#include "tools/command_line.h"
#include "tools/commands.h"
#include "tools/fetch.h"
#include "tools/file_lock.h"
#include "tools/module_fit.h"

namespace lpnsr {
namespace {

namespace fs = std::filesystem;

// MATLAB's or NumPy's: a metric's parameters, which are no network's; the metric itself checks them.
bool holds_arrays(const fs::path& file) { return file.extension() == ".mat" || file.extension() == ".npz"; }

// What keeps the weights in `file` from loading into the network that they are for; "" where nothing does or where that network is not one
// that can be built here on its own.
std::string unfit(const PublishedFile& published, const fs::path& file) {
  const bool converted = file.extension() == ".safetensors";
  if (holds_arrays(file) || (holds_arrays(published.name) && !converted)) return "";
  const auto fits = fits_of(read_weights(file).tensors);
  const auto fit = std::find_if(fits.begin(), fits.end(), [&](const ModuleFit& f) { return f.module == published.module; });
  if (fit != fits.end()) {
    const Misfits& faults = fit->faults;
    if (faults.none()) return "";
    return fmt::format("does not fit the {}: {} keys missing, {} extra, {} of another shape, {} of another type", published.module,
                       faults.missing.size(), faults.extra.size(), faults.shapes.size(), faults.types.size());
  }
  const auto known = buildable_modules();
  const bool buildable = std::find(known.begin(), known.end(), published.module) != known.end();
  return buildable ? fmt::format("holds no weights of a {}", published.module) : "";
}

// All faults of a file, in words; "" for none. `copy`: converted or of another package, so with a size and hash of its own.
std::string fault_of_file(const PublishedFile& published, const fs::path& file, bool copy = false) {
  const std::string fault = copy ? "" : mismatch(published, file);
  if (!fault.empty()) return fault;
  try {
    return unfit(published, file);
  } catch (const DataError& error) {
    return error.what();
  }
}

class WeightsCommand {
 public:
  WeightsCommand(fs::path folder, std::vector<PublishedFile> files) : folder_(std::move(folder)), files_(std::move(files)) {}

  int list(bool json) const {
    auto rows = nlohmann::ordered_json::array();
    for (const auto& file : files_) {
      const fs::path path = find_file(file, folder_);
      if (json) {
        nlohmann::ordered_json row = {{"name", file.name}, {"what", file.what}, {"module", file.module}, {"project", file.project}};
        if (!file.address.empty()) row["address"] = file.address;
        if (!file.page.empty()) row["page"] = file.page;
        if (!file.sha256.empty()) row["sha256"] = file.sha256;
        if (file.size > 0) row["size"] = file.size;
        row["usual"] = file.usual;
        row["path"] = path.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(path.string());
        rows.push_back(row);
      } else {
        std::cout << fmt::format("{} {}{}\n    {} ({}){}\n    {}\n", path.empty() ? "-" : "+", file.name,
                                 path.empty() || path.filename() == file.name ? "" : fmt::format(" (as {})", path.filename().string()),
                                 file.what, file.module, file.usual ? ", needed by `lpnsr restore` as published" : "", source(file));
      }
    }
    if (json) {
      std::cout << json_text(rows, 2) << "\n";
    } else {
      std::cout << fmt::format("+ lies in {}, - does not\n", folder_.string());
    }
    return 0;
  }

  int verify(const std::vector<std::string>& names, bool json) const {
    auto rows = nlohmann::ordered_json::array();
    bool good = true;
    for (const auto* file : chosen(names, /*all=*/true)) {
      const fs::path path = find_file(*file, folder_);
      const bool there = !path.empty();
      const std::string fault = there ? fault_of_file(*file, path, path.filename() != file->name) : names.empty() ? "" : "is missing";
      if (!fault.empty()) good = false;
      const std::string state = !fault.empty() ? fault : there ? checked(*file, path) : "not there";
      if (json) {
        rows.push_back({{"name", file->name}, {"there", there}, {"good", there && fault.empty()}, {"state", state}});
      } else {
        std::cout << fmt::format("{}: {}\n", file->name, state);
      }
    }
    if (json) std::cout << json_text(rows, 2) << "\n";
    return good ? 0 : 1;
  }

  int fetch(const std::vector<std::string>& names) const {
    make_output_folder(folder_);
    std::vector<std::string> faults;
    for (const auto* file : chosen(names, /*all=*/false)) {
      try {
        fetch(*file);
      } catch (const Error& error) {
        faults.emplace_back(error.what());
      }
    }
    if (!faults.empty()) throw Error(fmt::format("{}", fmt::join(faults, "\n")));
    return 0;
  }

  int add(const std::vector<std::string>& paths, const std::string& name) const {
    if (paths.empty()) throw UsageError("weights add: name the files that were fetched by hand");
    if (!name.empty() && paths.size() > 1) throw UsageError("weights add: --name belongs to a single file");
    make_output_folder(folder_);
    for (const fs::path path : paths) {
      const auto& file = registered(name.empty() ? path.filename().string() : name);
      if (!fs::is_regular_file(path)) throw Error(fmt::format("{}: there is no such file", path.string()));
      accept(file, path);
      const fs::path target = folder_ / file.name;
      std::error_code unlike;
      if (!fs::equivalent(path, target, unlike)) {
        const fs::path partial = partial_name(file);
        fs::copy_file(path, partial, fs::copy_options::overwrite_existing);
        fs::rename(partial, target);
      }
      std::cout << target.string() << "\n";
    }
    return 0;
  }

 private:
  static std::string source(const PublishedFile& file) {
    return !file.address.empty() ? file.address : !file.page.empty() ? file.page : file.project;
  }

  static std::string checked(const PublishedFile& file, const fs::path& path) {
    const std::string keys = "every key and shape fits";
    if (path.filename() != file.name) return fmt::format("{} of {}", keys, path.filename().string());
    if (file.sha256.empty()) return keys + "; no hash of it is published";
    return keys + (file.sha256.size() == 64 ? ", and so does the hash" : ", and so does the published beginning of the hash");
  }

  fs::path partial_name(const PublishedFile& file) const { return folder_ / (file.name + ".partial"); }

  const PublishedFile& registered(const std::string& name) const {
    if (const auto* file = find_published(files_, name)) return *file;
    std::vector<std::string> names;
    for (const auto& file : files_) names.push_back(file.name);
    throw UsageError(
        fmt::format("no published file is called '{}'{}; known are {}", name, did_you_mean(name, names), fmt::join(names, ", ")));
  }

  // The named files; without names all, or those that `lpnsr restore` needs as published.
  std::vector<const PublishedFile*> chosen(const std::vector<std::string>& names, bool all) const {
    std::vector<const PublishedFile*> files;
    for (const auto& name : names) files.push_back(&registered(name));
    for (const auto& file : files_) {
      if (names.empty() && (all || file.usual)) files.push_back(&file);
    }
    return files;
  }

  // Throws DataError where `path` is not the published file.
  static void accept(const PublishedFile& file, const fs::path& path) {
    const std::string fault = fault_of_file(file, path);
    if (!fault.empty()) throw DataError(fmt::format("{}: is not {}: {}", path.string(), file.name, fault));
    if (file.sha256.empty()) log_info("{}: no hash of it is published, but it fits the {}", file.name, file.module);
  }

  bool is_there(const fs::path& target) const {
    const bool there = fs::exists(target);
    if (there) log_info("{} is there already", target.string());
    return there;
  }

  void fetch(const PublishedFile& file) const {
    const fs::path target = folder_ / file.name, partial = partial_name(file);
    if (is_there(target)) return;
    if (file.address.empty()) {
      throw Error(
          fmt::format("{}: its page is {}, but no address of the file itself is known: fetch it by hand, then\n  lpnsr weights add "
                      "{}",
                      file.name, source(file), file.name));
    }
    // It stays: removed, it could be locked by one who had opened it before and, made anew, by another.
    const FileLock lock(folder_ / fmt::format(".{}.lock", file.name), /*shared_with_children=*/true);
    if (!lock.held())
      throw Error(fmt::format("{}: another process is fetching it into {}; wait until that has ended", file.name, folder_.string()));
    if (is_there(target)) return;  // the other process ended just now
    complete(file, partial);
    try {
      accept(file, partial);
    } catch (const DataError&) {
      fs::remove(partial);  // going on with it would end the same way
      throw;
    }
    fs::rename(partial, target);
    std::cout << target.string() << "\n";
  }

  // Fetches what is missing of `partial`, or all of it where going on is refused.
  static void complete(const PublishedFile& file, const fs::path& partial) {
    const auto published = static_cast<uintmax_t>(file.size), there = fs::exists(partial) ? fs::file_size(partial) : 0;
    if (published > 0 && there == published) return;
    if (published > 0 && there > published) fs::remove(partial);
    try {
      fetch_file(file.address, partial);
    } catch (const CannotResume&) {
      if (is_proven(file, partial)) return;  // a process was killed between the transfer's end and the renaming
      log_info("{}: the transfer cannot go on where it stopped, so it begins anew", file.name);
      fs::remove(partial);
      fetch_file(file.address, partial);
    }
  }

  // Whether the file itself shows that it is whole: without a hash, half of an array's file looks as good as all of it.
  static bool is_proven(const PublishedFile& file, const fs::path& path) {
    return (!file.sha256.empty() || !holds_arrays(file.name)) && fault_of_file(file, path).empty();
  }

  fs::path folder_;
  std::vector<PublishedFile> files_;
};

}  // namespace

int run_weights(const Arguments& arguments) {
  namespace po = boost::program_options;
  CommandLine line(
      "weights",
      "The published weights: list them, fetch them (going on where a transfer stopped), verify those that are there, or add files "
      "that were fetched by hand. fetch without a name takes what `lpnsr restore` needs as published.",
      "lpnsr weights list\n  lpnsr weights fetch RealESRGAN_x4plus.pth\n  lpnsr weights add ~/Downloads/noise_predictor.pth");
  CommonOptions common;
  std::string action, registry, name;
  std::vector<std::string> names;
  line.add()("action", po::value(&action)->required()->value_name("ACTION"), "list, fetch, verify or add")(
      "files", po::value(&names)->value_name("FILE"), "names of published files; paths for add")(
      "registry", po::value(&registry)->value_name("TOML"), "further files, in the form of core/published_weights.toml")(
      "name", po::value(&name)->value_name("NAME"), "add: the published name of a file that has another one");
  line.positional("action", 1);
  line.positional("files", -1);
  add_common_options(line, common, {"weights-dir", "json"});
  if (!line.parse(arguments)) return 0;
  const WeightsCommand command(weights_folder(common.weights_dir), published_files(registry));
  if (action == "list") return command.list(common.json);
  if (action == "verify") return command.verify(names, common.json);
  if (action == "fetch") return command.fetch(names);
  if (action == "add") return command.add(names, name);
  throw UsageError(fmt::format("weights: there is no '{}'{}: list, fetch, verify or add", action,
                               did_you_mean(action, {"list", "fetch", "verify", "add"})));
}

}  // namespace lpnsr
