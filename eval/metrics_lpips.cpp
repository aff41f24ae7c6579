// LPIPS as a metric.
#include <torch/types.h>

#include "eval/metric.h"
#include "losses/lpips.h"

namespace lpnsr {
namespace {

template <LpipsNetwork network>
void prepare_lpips(Metric& metric, const MetricRequest& request) {
  auto lpips = load_lpips(network, request.files);
  lpips->to(request.device);
  metric.protocol = "v0.1";
  score_by_network(metric, request, [lpips, device = request.device](const at::Tensor& images, const at::Tensor& references) {
    const auto signed_values = [&](const at::Tensor& pictures) { return pictures.to(device, torch::kFloat32) * 2 - 1; };
    return lpips.ptr()->forward(signed_values(images), signed_values(references));
  });
}

template <LpipsNetwork network>
MetricDescription describe_lpips(const std::string& name) {
  return {.name = "lpips." + name,
          .label = "LPIPS (" + name + ")",
          .higher_is_better = false,
          .files = lpips_files(network),
          .prepare = prepare_lpips<network>,
          .find_files = [](const std::filesystem::path& folder) { return find_lpips_files(network, folder); }};
}

}  // namespace

MetricDescription describe_lpips_alex() { return describe_lpips<LpipsNetwork::alex>("alex"); }
MetricDescription describe_lpips_vgg() { return describe_lpips<LpipsNetwork::vgg>("vgg"); }
MetricDescription describe_lpips_squeeze() { return describe_lpips<LpipsNetwork::squeeze>("squeeze"); }

}  // namespace lpnsr
