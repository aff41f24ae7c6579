#include <fmt/format.h>

#include "core/checkpoint.h"
#include "core/error.h"
#include "core/mat_file.h"
#include "core/npy.h"
#include "eval/niqe.h"

namespace lpnsr {
namespace {

StateDict arrays_of(const std::filesystem::path& path) {
  if (path.extension() == ".npz") return read_npz(path);
  if (path.extension() == ".safetensors") return read_safetensors(path).tensors;
  StateDict arrays;
  for (const auto& [name, value] : read_mat(path)) {
    if (value.kind == MatValue::Kind::numbers) arrays.add(name, value.numbers);
  }
  return arrays;
}

}  // namespace

NiqePristine read_niqe_pristine(const std::filesystem::path& path) {
  const StateDict arrays = arrays_of(path);
  // BasicSR's names, then MATLAB's.
  for (const auto& [mean, covariance] : {std::pair{"mu_pris_param", "cov_pris_param"}, {"mu_prisparam", "cov_prisparam"}}) {
    const auto *m = arrays.find(mean), *c = arrays.find(covariance);
    if (m == nullptr || c == nullptr) continue;
    if (m->numel() != 36 || c->sizes() != at::IntArrayRef{36, 36} || !m->isfinite().all().item<bool>() || !c->isfinite().all().item<bool>())
      throw DataError(fmt::format("{}: '{}' must hold 36 and '{}' 36x36 finite numbers", path.string(), mean, covariance));
    return {m->to(at::kDouble).flatten(), c->to(at::kDouble)};
  }
  throw DataError(path.string() +
                  ": holds no pristine parameters of NIQE (mu_pris_param and cov_pris_param, or mu_prisparam and cov_prisparam)");
}

}  // namespace lpnsr
