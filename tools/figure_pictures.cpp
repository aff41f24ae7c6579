// Figures of pictures: crops, noise maps, distributions, spreads.
#include <map>

#include <fmt/ranges.h>

#include "core/device.h"
#include "core/error.h"
#include "core/image.h"
#include "core/log.h"
#include "diffusion/restorer.h"
#include "eval/figure_sheet.h"
#include "eval/test_crops.h"
#include "tools/chain_pictures.h"
#include "tools/figures.h"
#include "tools/restore_output.h"
#include "tools/table_run.h"
#include "trainers/experiment.h"

namespace lpnsr {
namespace {

namespace fs = std::filesystem;

// The pictures that the file names, or the first ones.
std::shared_ptr<const StagedSet> chosen_set(const FigureFile& figure, const CacheOptions& options) {
  TestSet set = read_test_set((figure.path.parent_path() / figure.data).lexically_normal());
  set.first = figure.pictures.empty() ? figure.first : 0;
  if (!figure.pictures.empty()) set.only.clear();
  for (const auto& picture : figure.pictures) set.only.push_back(picture.name);
  auto staged = std::make_shared<StagedSet>(stage_set(set, options));
  if (staged->missing) throw Error(staged->missing->where);
  return staged;
}

Box box_of(const FigureFile& figure, size_t picture, const at::Tensor& shown) {
  const int64_t height = shown.size(1), width = shown.size(2);
  if (picture < figure.pictures.size() && !figure.pictures[picture].box.empty()) {
    const auto& given = figure.pictures[picture].box;
    const Box box{given[0], given[1], given[2], given[3]};
    const auto within = [](int64_t start, int64_t length, int64_t side) {
      return start >= 0 && length >= 1 && length <= side && start <= side - length;
    };
    if (!within(box[0], box[2], width) || !within(box[1], box[3], height)) {
      throw UsageError(fmt::format("{}: picture '{}': the box [{}] does not lie within its {}x{} pixels", figure.path.string(),
                                   figure.pictures[picture].name, fmt::join(given, ", "), width, height));
    }
    return box;
  }
  const int64_t side = std::min({figure.side, height, width});
  const auto [top, left] = busiest_square(shown, side);
  return {left, top, side, side};
}

at::Tensor cut(const at::Tensor& rgb, const Box& box, double scale) {
  const auto scaled = [scale](int64_t length) { return static_cast<int64_t>(std::lround(static_cast<double>(length) * scale)); };
  const int64_t top = std::min(scaled(box[1]), rgb.size(1) - 1), left = std::min(scaled(box[0]), rgb.size(2) - 1);
  const int64_t height = std::clamp<int64_t>(scaled(box[3]), 1, rgb.size(1) - top);
  const int64_t width = std::clamp<int64_t>(scaled(box[2]), 1, rgb.size(2) - left);
  return rgb.narrow(1, top, height).narrow(2, left, width);
}

std::string label_of(const MethodEntry& row) { return row.group.empty() ? row.name : row.name + ", " + row.group; }

// A method with its networks, for figures that look into the chain.
struct LoadedMethod {
  std::string name;
  Restorer restorer;
};

std::vector<LoadedMethod> load_methods(const FigureFile& figure, const CacheOptions& options) {
  std::vector<LoadedMethod> methods;
  for (const auto& row : figure.rows) {
    if (row.experiment.empty()) throw UsageError(fmt::format("row '{}': a figure of the chain needs an experiment, not images", row.name));
    Experiment experiment = load_experiment(experiment_of(row, figure.path, figure.overlay, options));
    experiment.restore.seed = static_cast<uint64_t>(figure.seed);
    if (experiment.restore.pre_upsample_only) throw UsageError(fmt::format("row '{}': a pre-upsampler alone has no chain", row.name));
    methods.push_back({label_of(row), Restorer::load(experiment.system, experiment.restore, options.weights)});
    methods.back().restorer.to(parse_device(options.device));
  }
  return methods;
}

struct Chain {
  at::Tensor restored;
  std::map<int64_t, at::Tensor> noise;  // by the paper's t, of the first patch; what multiplies sqrt(Sigma) (Eq. 11)
  at::Tensor latent;                    // x'_0
};

Chain walk(const Restorer& restorer, const TestPicture& picture) {
  const torch::NoGradGuard no_grad;
  Chain chain;
  std::optional<at::Tensor> truth;
  if (!picture.high.empty()) truth = read_image(picture.high).rgb;
  chain.restored = restorer.restore(read_image(picture.low).rgb, truth, [&chain](const ChainState& state) {
    if (state.index > 0) chain.noise.emplace(state.index + 1, state.noise[0].cpu());
    if (state.index == 0 && !chain.latent.defined()) chain.latent = state.pred_x0[0].cpu();
  });
  return chain;
}

// A row for each method and picture: the LR picture, then what `rest` adds of the chain.
template <class Rest>
FigureSheet draw_chains(const FigureFile& figure, const CacheOptions& options, const Rest& rest) {
  const auto set = chosen_set(figure, options);
  const auto methods = load_methods(figure, options);
  FigureSheet sheet(figure.title);
  for (const auto& method : methods) {
    for (const auto& picture : set->pictures) {
      const Chain chain = walk(method.restorer, picture);
      sheet.row(methods.size() > 1 ? method.name : "");
      sheet.picture("LR", read_image(picture.low).rgb);
      rest(sheet, chain);
    }
  }
  return sheet;
}

// A row for each picture: the whole with its box, then the box in the LR picture, in each method's result and in the true picture.
FigureSheet sheet_of_crops(const FigureFile& figure, const StagedSet& set, const std::vector<CachedRun>& cells,
                           const std::vector<std::string>& labels) {
  FigureSheet sheet(figure.title);
  for (size_t p = 0; p < set.pictures.size(); ++p) {
    const auto& picture = set.pictures[p];
    const at::Tensor first = read_image(cells.front().pairs()[p].picture).rgb, low = read_image(picture.low).rgb;
    const at::Tensor shown = picture.high.empty() ? first : read_image(picture.high).rgb;
    const Box box = box_of(figure, p, shown);
    const auto relative = [&shown](const at::Tensor& rgb) { return static_cast<double>(rgb.size(2)) / static_cast<double>(shown.size(2)); };
    sheet.row();
    sheet.picture(picture.name, shown, box);
    sheet.picture("LR", cut(low, box, relative(low)));
    for (size_t c = 0; c < cells.size(); ++c) {
      const at::Tensor restored = read_image(cells[c].pairs()[p].picture).rgb;
      sheet.picture(labels[c], cut(restored, box, relative(restored)));
    }
    if (!picture.high.empty()) sheet.picture("HR", cut(shown, box, 1.0));
  }
  return sheet;
}

}  // namespace

FigureSheet draw_crops(const FigureFile& figure, const CacheOptions& options) {
  const auto set = chosen_set(figure, options);
  std::vector<CachedRun> cells;
  std::vector<std::string> labels;
  for (const auto& row : figure.rows) {
    cells.emplace_back(row, experiment_of(row, figure.path, figure.overlay, options), set, static_cast<uint64_t>(figure.seed), options);
    labels.push_back(label_of(row));
    for (const auto& what : cells.back().missing()) throw Error(fmt::format("row '{}': {}: {}", row.name, what.file, what.where));
  }
  for (size_t c = 0; c < cells.size(); ++c) {
    if (cells[c].restored() || compute_cell(cells[c], {})) continue;
    throw Error(fmt::format("row '{}': another process is computing its pictures ({}); draw the figure when it has ended", labels[c],
                            cells[c].folder().string()));
  }
  try {
    return sheet_of_crops(figure, *set, cells, labels);
  } catch (const DataError& error) {
    throw with_advice(error, options.results / "cells");
  }
}

FigureSheet draw_noise(const FigureFile& figure, const CacheOptions& options) {
  return draw_chains(figure, options, [](FigureSheet& sheet, const Chain& chain) {
    for (auto step = chain.noise.rbegin(); step != chain.noise.rend(); ++step)
      sheet.picture(fmt::format("noise at t = {}", step->first), noise_picture(step->second));
  });
}

FigureSheet draw_distribution(const FigureFile& figure, const CacheOptions& options) {
  constexpr double kRange = 4.0;
  return draw_chains(figure, options, [](FigureSheet& sheet, const Chain& chain) {
    sheet.picture("restored", chain.restored.cpu().clamp(0, 1));
    const auto chart = [&sheet](const std::string& what, const at::Tensor& values, bool of_noise) {
      const double mean = values.mean().item<double>(), deviation = values.std().item<double>();
      const double range = of_noise ? kRange : std::max(1.0, std::ceil(values.abs().max().item<double>()));
      std::vector<Series> series{density(what, values, -range, range)};
      if (of_noise) series.push_back(normal_density("N(0, 1)", 0, 1, -range, range));
      sheet.chart(fmt::format("{}: μ = {:.3f}, σ = {:.3f}", what, mean, deviation), series,
                  {.x_label = of_noise ? "noise" : "latent value", .y_label = "density", .width = 330, .height = 190});
    };
    for (auto step = chain.noise.rbegin(); step != chain.noise.rend(); ++step)
      chart(fmt::format("t = {}", step->first), step->second, true);
    chart("x'0", chain.latent, false);
  });
}

FigureSheet draw_spread(const FigureFile& figure, const CacheOptions& options) {
  const auto set = chosen_set(figure, options);
  auto methods = load_methods(figure, options);
  FigureSheet sheet(figure.title);
  for (const auto& picture : set->pictures) {
    const at::Tensor low = read_image(picture.low).rgb;
    std::vector<std::pair<at::Tensor, at::Tensor>> statistics;
    double highest = 0;
    for (auto& method : methods) {
      SampleStatistics samples(low.size(1) * method.restorer.scale(), low.size(2) * method.restorer.scale());
      Progress progress("sampling " + method.name, figure.seeds, 0, "samples");
      for (int64_t s = 0; s < figure.seeds; ++s) {
        method.restorer.set_seed(static_cast<uint64_t>(figure.seed + s));
        samples.begin_sample();
        samples.add(walk(method.restorer, picture).restored.cpu().to(at::kFloat).clamp(0, 1));
        progress.advance();
      }
      progress.finish();
      statistics.emplace_back(samples.mean().clone(), samples.spread().mean(0));
      highest = std::max(highest, statistics.back().second.max().item<double>());
    }
    sheet.row(picture.name);
    sheet.picture("LR", low);
    for (size_t m = 0; m < methods.size(); ++m) {
      sheet.picture(fmt::format("{}: mean", methods[m].name), statistics[m].first);
      sheet.picture("spread", heat(statistics[m].second / std::max(highest, 1e-12)));
    }
    sheet.colour_scale(highest, fmt::format("σ of {}", figure.seeds));
  }
  return sheet;
}

}  // namespace lpnsr
