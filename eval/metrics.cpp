#include "eval/metrics.h"

#include "core/error.h"
#include "losses/lpips.h"

namespace lpnsr {
namespace {

Metric lpips_metric(LpipsNetwork network, const std::string& name, const MetricOptions& options) {
  auto lpips = load_lpips(network, find_lpips_files(network, options.weights));
  lpips->to(options.device);
  Metric metric{
      .name = name, .label = network == LpipsNetwork::alex ? "LPIPS (alex)" : "LPIPS (vgg)", .protocol = "v0.1", .higher_is_better = false};
  metric.score = [lpips, device = options.device](const at::Tensor& image, const at::Tensor& reference) mutable {
    const torch::InferenceMode no_grad;
    const auto signed_values = [&](const at::Tensor& picture) { return (picture.to(device, torch::kFloat32) * 2 - 1).unsqueeze(0); };
    return lpips->forward(signed_values(image), signed_values(reference)).item<double>();
  };
  return metric;
}

}  // namespace

const std::vector<std::string>& metric_names() {
  static const std::vector<std::string> names = {"psnr", "ssim", "lpips.alex", "lpips.vgg"};
  return names;
}

Metric make_metric(const std::string& name, const MetricOptions& options) {
  const auto full = checked(options.psnr_ssim);
  if (name == "psnr") {
    Metric metric{.name = name, .label = "PSNR", .protocol = describe(full), .decimals = 2};
    metric.score = [full](const at::Tensor& image, const at::Tensor& reference) { return psnr(image, reference, full); };
    return metric;
  }
  if (name == "ssim") {
    Metric metric{.name = name, .label = "SSIM", .protocol = describe(full)};
    metric.score = [full](const at::Tensor& image, const at::Tensor& reference) { return ssim(image, reference, full); };
    return metric;
  }
  if (name == "lpips.alex" || name == "lpips") return lpips_metric(LpipsNetwork::alex, "lpips.alex", options);
  if (name == "lpips.vgg") return lpips_metric(LpipsNetwork::vgg, name, options);
  throw UsageError("unknown metric '" + name + "' (psnr, ssim, lpips.alex, lpips.vgg)" + did_you_mean(name, metric_names()));
}

std::vector<Metric> make_metrics(const std::vector<std::string>& names, const MetricOptions& options) {
  std::vector<Metric> metrics;
  for (const auto& name : names) {
    auto metric = make_metric(name, options);
    const bool repeated = std::any_of(metrics.begin(), metrics.end(), [&](const Metric& other) { return other.name == metric.name; });
    if (repeated) throw UsageError("metric '" + metric.name + "' is named twice");
    metrics.push_back(std::move(metric));
  }
  return metrics;
}

std::vector<std::string> split_names(const std::string& list) {
  std::vector<std::string> names;
  std::istringstream stream(list + ",");
  for (std::string part; std::getline(stream, part, ',');) {
    std::erase(part, ' ');
    if (part.empty()) throw UsageError("'" + list + "': a list of names separated by commas is needed");
    names.push_back(part);
  }
  return names;
}

}  // namespace lpnsr
