// The modules of the metrics that are one network each.
#include <ATen/Functions.h>
#include <fmt/format.h>

#include "core/error.h"
#include "eval/clipiqa.h"
#include "eval/fid.h"
#include "eval/maniqa.h"
#include "eval/metric.h"
#include "eval/musiq.h"
#include "eval/topiq.h"
#include "losses/dists.h"

namespace lpnsr {
namespace {

struct DistsOptions {
  int64_t resize = 0;
  void fields(FieldVisitor& v) {
    v.integer("resize", resize, {0}, "shorter side that both are resized to first, as the authors' script does with 256; 0: none");
  }
};

at::Tensor with_shorter_side(const at::Tensor& image, int64_t side) {
  const int64_t height = image.size(2), width = image.size(3), shorter = std::min(height, width);
  if (side == 0 || shorter == side) return image;
  const auto scaled = [&](int64_t n) { return n * side / shorter; };
  return at::_upsample_bilinear2d_aa(image, {scaled(height), scaled(width)}, false).clamp(0, 1);
}

void prepare_dists(Metric& metric, const MetricRequest& request) {
  DistsOptions options;
  read_metric_options(fields_of(options), request);
  metric.protocol = options.resize == 0 ? "native size" : fmt::format("shorter side {}", options.resize);
  score_by_network(
      metric, request,
      [dists = std::make_shared<Dists>(request.files, request.device)](const at::Tensor& images, const at::Tensor& references) {
        return (*dists)(images, references);
      },
      [options, device = request.device](const at::Tensor& picture) {
        return with_shorter_side(picture.unsqueeze(0).to(device, at::kFloat), options.resize).squeeze(0);
      });
}

// A network that maps [N,3,H,W] in [0,1] to one number each.
template <class Network>
void prepare_network(Metric& metric, const MetricRequest& request) {
  score_by_network(metric, request,
                   [network = std::make_shared<Network>(request.files, request.device)](const at::Tensor& images, const at::Tensor&) {
                     return (*network)(images);
                   });
}

void prepare_clipiqa(Metric& metric, const MetricRequest& request) {
  prepare_network<ClipIqa>(metric, request);
  metric.protocol = "pyiqa, RN50, 5 pairs of prompts";
}

void prepare_musiq(Metric& metric, const MetricRequest& request) {
  prepare_network<Musiq>(metric, request);
  metric.protocol = "pyiqa, KonIQ";
}

void prepare_topiq(Metric& metric, const MetricRequest& request) {
  prepare_network<TopiqNr>(metric, request);
  metric.protocol = "pyiqa, KonIQ, ResNet-50";
}

struct ManiqaOptions {
  int64_t crops = 20;
  void fields(FieldVisitor& v) { v.integer("crops", crops, {1, 400}, "of 224x224, the first of a grid (5x5 for 20)"); }
};

void prepare_maniqa(Metric& metric, const MetricRequest& request) {
  ManiqaOptions options;
  read_metric_options(fields_of(options), request);
  metric.protocol = fmt::format("pyiqa, KonIQ, {} crops", options.crops);
  metric.batch = request.batch_size().most();
  metric.score_batch = [maniqa = std::make_shared<Maniqa>(request.files, request.device), options, size = request.batch_size()](
                           const Metric::Pictures& images, const Metric::Pictures&) {
    const c10::InferenceMode inference;
    return (*maniqa)(images, options.crops, size);
  };
  metric.score = [score = metric.score_batch](const at::Tensor& image, const at::Tensor&) { return score({image}, {}).item<double>(); };
}

void prepare_fid(Metric& metric, const MetricRequest& request) {
  FidOptions options;
  read_metric_options(fields_of(options), request);
  metric.protocol = options.mode;
  metric.batch = request.batch_size().most();
  metric.features = [network = std::make_shared<InceptionV3>(request.files, request.device), options,
                     size = request.batch_size()](const Metric::Pictures& images) {
    const c10::InferenceMode inference;
    Metric::Pictures resized;
    for (const auto& image : images) resized.push_back(fid_resized(image, options));
    return in_batches(resized, {}, size, [&](const at::Tensor& batch, const at::Tensor&) { return fid_features(*network, batch, options); })
        .to(at::kCPU);
  };
  metric.distance = frechet_distance;
}

}  // namespace

MetricDescription describe_dists() {
  return {
      .name = "dists", .label = "DISTS", .higher_is_better = false, .files = dists_files(), .configurable = true, .prepare = prepare_dists};
}

MetricDescription describe_clipiqa() {
  return {.name = "clipiqa", .label = "CLIPIQA", .kind = MetricKind::picture, .files = {"RN50.pt"}, .prepare = prepare_clipiqa};
}

MetricDescription describe_musiq() {
  return {.name = "musiq",
          .label = "MUSIQ",
          .kind = MetricKind::picture,
          .decimals = 2,
          .files = {"musiq_koniq_ckpt-e95806b9.pth"},
          .prepare = prepare_musiq};
}

MetricDescription describe_maniqa() {
  return {.name = "maniqa",
          .label = "MANIQA",
          .kind = MetricKind::picture,
          .files = {"ckpt_koniq10k.pt"},
          .configurable = true,
          .prepare = prepare_maniqa};
}

MetricDescription describe_topiq_nr() {
  return {.name = "topiq_nr",
          .label = "TOPIQ (NR)",
          .kind = MetricKind::picture,
          .files = {"cfanet_nr_koniq_res50-9a73138b.pth"},
          .prepare = prepare_topiq};
}

MetricDescription describe_fid() {
  return {.name = "fid",
          .label = "FID",
          .kind = MetricKind::set,
          .higher_is_better = false,
          .decimals = 2,
          .files = {"pt_inception-2015-12-05-6726825d.pth"},
          .configurable = true,
          .prepare = prepare_fid};
}

}  // namespace lpnsr
