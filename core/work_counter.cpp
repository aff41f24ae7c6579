#include "core/work_counter.h"

#include <algorithm>
#include <memory>

#include <ATen/record_function.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <torch/csrc/profiler/orchestration/observer.h>

namespace lpnsr {
namespace {

// Forward products a multiply-add counts 2.
double product(const at::Tensor& a, const at::Tensor& b) {
  // [..,m,k] x [..,k,n]
  return 2.0 * static_cast<double>(a.numel()) * static_cast<double>(b.size(-1));
}

// Multiply-adds are as many as there are positions times what is summed at each: positions of the output or, where transposed, the input.
double convolution(const at::Tensor& input, const at::Tensor& weight, double output_positions, bool transposed) {
  const double positions = transposed ? static_cast<double>(input.numel() / input.size(1)) : output_positions;
  return 2.0 * positions * static_cast<double>(weight.numel());
}

// Of the output of a convolution that is not transposed: batch and places.
double output_positions(const at::Tensor& input, const at::Tensor& weight, const std::vector<int64_t>& stride,
                        const std::vector<int64_t>& padding, const std::vector<int64_t>& dilation) {
  auto positions = static_cast<double>(input.size(0));
  const auto of = [](const std::vector<int64_t>& values, size_t i) { return values[std::min(i, values.size() - 1)]; };
  for (size_t i = 0; i < static_cast<size_t>(input.dim() - 2); ++i) {
    const auto axis = static_cast<int64_t>(i) + 2;
    const int64_t reach = of(dilation, i) * (weight.size(axis) - 1) + 1;
    positions *= static_cast<double>((input.size(axis) + 2 * of(padding, i) - reach) / of(stride, i) + 1);
  }
  return positions;
}

// Queries [N,heads,L,E], keys and values [N,heads,S,E]: two products.
double attention(const at::Tensor& query, const at::Tensor& key) {
  return 4.0 * static_cast<double>(query.numel()) * static_cast<double>(key.size(-2));
}

bool starts_with(const std::string& text, const char* begin) { return text.rfind(begin, 0) == 0; }

double flops_of(const std::string& name, c10::ArrayRef<const c10::IValue> in) {
  const auto tensor = [&in](size_t i) -> const at::Tensor& { return in[i].toTensor(); };
  if (name == "aten::mm" || name == "aten::bmm") return product(tensor(0), tensor(1));
  if (name == "aten::addmm" || name == "aten::baddbmm") return product(tensor(1), tensor(2));
  if (name == "aten::convolution") {
    // input, weight, bias, stride, padding, dilation, transposed, output padding, groups
    const auto list = [&in](size_t i) { return in[i].toIntVector(); };
    return convolution(tensor(0), tensor(1), output_positions(tensor(0), tensor(1), list(3), list(4), list(5)), in[6].toBool());
  }
  if (name == "aten::convolution_backward") {
    // gradient, input, weight, bias sizes, stride, padding, dilation, transposed, output padding, groups, wanted
    const auto wanted = in[10].toBoolList();
    const auto positions = static_cast<double>(tensor(0).numel() / tensor(0).size(1));
    const double once = convolution(tensor(1), tensor(2), positions, in[7].toBool());
    return once * (static_cast<double>(wanted[0]) + static_cast<double>(wanted[1]));
  }
  // The fused kernels; the unfused form is made of the products above.
  if (starts_with(name, "aten::_scaled_dot_product_") && !starts_with(name, "aten::_scaled_dot_product_attention_math")) {
    // Backward: gradient, query, key, …; the scores are computed again.
    if (name.ends_with("_backward")) return 2.5 * attention(tensor(1), tensor(2));
    return attention(tensor(0), tensor(1));
  }
  return 0.0;
}

// What LibTorch's allocators report to; it takes the place of a profiler that is off.
class Counter : public torch::profiler::impl::ProfilerStateBase {
 public:
  Counter() : ProfilerStateBase(torch::profiler::impl::ProfilerConfig(torch::profiler::impl::ProfilerState::Disabled)) {}
  torch::profiler::impl::ActiveProfilerType profilerType() override { return torch::profiler::impl::ActiveProfilerType::NONE; }
  void reportMemoryUsage(void* /*block*/, int64_t bytes, size_t /*allocated*/, size_t /*reserved*/, c10::Device /*device*/) override {
    count.left_bytes += bytes;
    count.peak_bytes = std::max(count.peak_bytes, count.left_bytes);
  }
  bool memoryProfilingEnabled() const override { return true; }
  WorkCount count;
};

constexpr auto kPlace = c10::DebugInfoKind::PROFILER_STATE;

// What LibTorch's own threads that work for this one find too: the backward pass on a GPU runs on one of them.
Counter* counter() { return dynamic_cast<Counter*>(c10::ThreadLocalDebugInfo::get(kPlace)); }

std::unique_ptr<at::ObserverContext> add_flops(const at::RecordFunction& call) {
  if (auto* here = counter()) here->count.flops += flops_of(call.name(), call.inputs());
  return nullptr;
}

class CountingScope {
 public:
  explicit CountingScope(const std::shared_ptr<Counter>& counter)
      : place_(kPlace, counter),
        callback_(at::addThreadLocalCallback(at::RecordFunctionCallback(add_flops).needsInputs(true).scopes({at::RecordScope::FUNCTION}))) {
  }
  ~CountingScope() { at::removeCallback(callback_); }
  CountingScope(const CountingScope&) = delete;
  CountingScope& operator=(const CountingScope&) = delete;

 private:
  c10::DebugInfoGuard place_;
  at::CallbackHandle callback_;
};

}  // namespace

void note_flops(double flops) {
  if (auto* here = counter()) here->count.flops += flops;
}

WorkCount count_work(const std::function<void()>& work) {
  const auto counter = std::make_shared<Counter>();
  {
    const CountingScope scope(counter);
    work();
  }
  return counter->count;
}

}  // namespace lpnsr
