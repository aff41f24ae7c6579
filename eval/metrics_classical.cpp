// The modules of the metrics that need no network.
#include "core/error.h"
#include "eval/metric.h"
#include "eval/niqe.h"
#include "eval/nrqm.h"
#include "eval/psnr_ssim.h"

namespace lpnsr {
namespace {

using PairScore = double (*)(const at::Tensor& image, const at::Tensor& reference, const PsnrSsimOptions& options);

template <PairScore score>
void prepare_pair(Metric& metric, const MetricRequest& request) {
  PsnrSsimOptions options;
  read_metric_options(fields_of(options), request);
  options = checked(options);
  metric.protocol = describe(options);
  metric.score = [options](const at::Tensor& image, const at::Tensor& reference) { return score(image, reference, options); };
}

constexpr const char* pristine_file = "niqe_modelparameters.mat";
constexpr const char* nrqm_file = "NRQM_model.mat";

void prepare_niqe(Metric& metric, const MetricRequest& request) {
  NiqeOptions options;
  read_metric_options(fields_of(options), request);
  metric.protocol = describe(options);
  metric.score = [options, pristine = read_niqe_pristine(request.files.at(0))](const at::Tensor& image, const at::Tensor&) {
    return niqe(image, pristine, options);
  };
}

void prepare_nrqm(Metric& metric, const MetricRequest& request) {
  NrqmOptions options;
  read_metric_options(fields_of(options), request);
  metric.protocol = describe(options);
  metric.score = [options, model = read_nrqm_model(request.files.at(0))](const at::Tensor& image, const at::Tensor&) {
    return nrqm(image, model, options);
  };
}

// The two files are told apart by what they hold, so their order does not matter.
void prepare_pi(Metric& metric, const MetricRequest& request) {
  metric.protocol = "luma bt601, crop 4";
  if (request.files.size() != 2) throw UsageError("PI needs two files: NRQM's model and NIQE's parameters");
  size_t model_place = 0;
  try {
    read_niqe_pristine(request.files[0]);
    model_place = 1;
  } catch (const DataError&) {
    model_place = 0;
  }
  metric.score = [model = read_nrqm_model(request.files[model_place]), pristine = read_niqe_pristine(request.files[1 - model_place])](
                     const at::Tensor& image, const at::Tensor&) { return perceptual_index(image, model, pristine); };
}

}  // namespace

MetricDescription describe_psnr() {
  return {.name = "psnr", .label = "PSNR", .decimals = 2, .files = {}, .configurable = true, .prepare = prepare_pair<psnr>};
}

MetricDescription describe_ssim() {
  return {.name = "ssim", .label = "SSIM", .files = {}, .configurable = true, .prepare = prepare_pair<ssim>};
}

MetricDescription describe_niqe() {
  return {.name = "niqe",
          .label = "NIQE",
          .kind = MetricKind::picture,
          .higher_is_better = false,
          .files = {pristine_file},
          .configurable = true,
          .prepare = prepare_niqe};
}

MetricDescription describe_nrqm() {
  return {
      .name = "nrqm", .label = "NRQM", .kind = MetricKind::picture, .files = {nrqm_file}, .configurable = true, .prepare = prepare_nrqm};
}

MetricDescription describe_pi() {
  return {.name = "pi",
          .label = "PI",
          .kind = MetricKind::picture,
          .higher_is_better = false,
          .files = {nrqm_file, pristine_file},
          .prepare = prepare_pi};
}

}  // namespace lpnsr
