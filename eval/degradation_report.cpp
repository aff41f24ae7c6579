#include "eval/degradation_report.h"

#include <algorithm>

#include <ATen/Functions.h>
#include <fmt/format.h>

#include "degradation/degrade.h"
#include "degradation/explain.h"
#include "eval/html_report.h"

namespace lpnsr {
namespace {

constexpr int64_t kShownSide = 384;  // longer photographs are shown by their middle

at::Tensor middle(const at::Tensor& picture, int64_t scale) {
  const auto part = [scale](int64_t side) { return std::min(side, kShownSide) / scale * scale; };
  const int64_t rows = part(picture.size(1)), columns = part(picture.size(2));
  return picture.narrow(1, (picture.size(1) - rows) / 2, rows).narrow(2, (picture.size(2) - columns) / 2, columns).contiguous();
}

}  // namespace

void DegradationReport::add_kernel(const std::string& stage, const KernelParameters& kernel) {
  kinds_[stage + " kernel"][kernel.type] += 1;
  if (kernel.type == "none") return;
  numbers_[stage + " kernel size"].push_back(static_cast<double>(kernel.size));
  if (kernel.type == "sinc") {
    numbers_[stage + " sinc cut-off"].push_back(kernel.omega);
    return;
  }
  numbers_[stage + " sigma"].push_back(kernel.sigma_x);
  if (kernel.type.ends_with("aniso")) numbers_[stage + " sigma"].push_back(kernel.sigma_y);
  if (kernel.beta > 0) numbers_[stage + " beta"].push_back(kernel.beta);
}

void DegradationReport::add_stage(const std::string& name, const StageParameters& stage) {
  add_kernel(name, stage.kernel);
  kinds_[name + " resize"][stage.resize_mode] += 1;
  numbers_[name + " resize factor"].push_back(stage.resize_factor);
  kinds_[name + " noise"][stage.noise + (stage.gray_noise ? " gray" : " colour")] += 1;
  numbers_[name + (stage.noise == "gaussian" ? " noise sigma" : " Poisson scale")].push_back(stage.noise_level);
}

void DegradationReport::add(const DegradationParameters& parameters) {
  ++pictures_;
  add_stage("first", parameters.first);
  numbers_["first JPEG quality"].push_back(parameters.first.jpeg_quality);
  kinds_["second order"][parameters.second_order ? "yes" : "no"] += 1;
  if (parameters.second_order) add_stage("second", parameters.second);
  numbers_["final JPEG quality"].push_back(parameters.second.jpeg_quality);
  add_kernel("final", parameters.final_sinc);
  kinds_["final resize"][parameters.final_resize_mode] += 1;
  kinds_["order of the last steps"][parameters.final_sinc_before_jpeg ? "resize, JPEG" : "JPEG, resize"] += 1;
}

void DegradationReport::write(const std::filesystem::path& path, const std::string& name, const at::Tensor& hr,
                              const DegradationParameters& parameters) const {
  HtmlReport report("Degradation");
  report.paragraph(fmt::format("What the {} flavour of the RealESRGAN pipeline drew for {} pictures, and one of them after each stage.",
                               parameters.flavour, pictures_));
  const at::Tensor shown = middle(hr, parameters.scale);
  const auto stages = explain(parameters, shown.size(1), shown.size(2));
  std::vector<std::pair<std::string, at::Tensor>> cells = {{"target", shown}};
  // Every stage at the size of the target, pixels as squares.
  degrade(shown, parameters, [&](const std::string& stage, const Planes& picture) {
    const auto found = std::find_if(stages.begin(), stages.end(), [&](const auto& one) { return one.first == stage; });
    const at::Tensor enlarged = at::upsample_nearest2d(tensor_of(picture).unsqueeze(0), {shown.size(1), shown.size(2)})[0];
    cells.emplace_back(fmt::format("{}: {}", stage, found == stages.end() ? "" : found->second), enlarged.clamp(0, 1));
  });
  report.heading("One photograph after each stage");
  for (size_t first = 0; first < cells.size(); first += 4) {
    report.image_row(first + 4 < cells.size() ? "" : name,
                     {cells.begin() + static_cast<std::ptrdiff_t>(first),
                      cells.begin() + static_cast<std::ptrdiff_t>(std::min(first + 4, cells.size()))});
  }
  report.heading("What was drawn");
  report.bars(kinds_);
  report.histograms(numbers_);
  report.write(path);
}

}  // namespace lpnsr
