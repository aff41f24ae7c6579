#include "tests/support/tape_recorder.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

namespace lpnsr::testing {
namespace {

using torch::jit::Stack;

struct Operation {
  c10::OperatorHandle op;
  Stack arguments;
  std::vector<at::Tensor> results;  // in memory that none of the arguments has
};
struct Tape {
  std::vector<Operation> operations;
  bool waits = false;  // some operation asks the device for a value
};

thread_local Tape* tape = nullptr;  // while the key is on

// No key of LibTorch's own uses this one, which lies between autograd and the devices.
constexpr auto kKey = c10::DispatchKey::Fake;

template <class Fn>
void for_tensors(const c10::IValue& value, const Fn& fn) {
  if (value.isTensor()) {
    if (value.toTensor().defined()) fn(value.toTensor());
  } else if (value.isList()) {
    for (const c10::IValue& element : value.toListRef()) for_tensors(element, fn);
  }
}

std::vector<at::Tensor> made(const Stack& arguments, const Stack& results, size_t first) {
  std::vector<at::Tensor> tensors;
  for (size_t i = first; i < results.size(); ++i) {
    for_tensors(results[i], [&](const at::Tensor& result) {
      bool shares = false;
      for (const auto& argument : arguments) for_tensors(argument, [&](const at::Tensor& t) { shares = shares || t.is_alias_of(result); });
      tensors.push_back(shares ? at::Tensor() : result);
    });
  }
  return tensors;
}

void note(const c10::OperatorHandle& op, c10::DispatchKeySet keys, Stack* stack) {
  const std::string& name = op.schema().name();
  const size_t count = op.schema().arguments().size(), first = stack->size() - count;
  const Stack arguments(stack->begin() + static_cast<std::ptrdiff_t>(first), stack->end());
  {
    const c10::impl::ExcludeDispatchKeyGuard below(kKey);
    op.redispatchBoxed(keys & c10::DispatchKeySet(c10::DispatchKeySet::FULL_AFTER, kKey), stack);
  }
  // What memory without contents holds is up to others.
  const bool makes_memory = name.starts_with("aten::empty") || name.starts_with("aten::new_empty");
  if (!makes_memory) tape->operations.push_back({op, arguments, made(arguments, *stack, first)});
  tape->waits = tape->waits || name == "aten::_local_scalar_dense";
}

void replay(const Tape& noted) {
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  for (const auto& [op, arguments, results] : noted.operations) {
    Stack stack = arguments;
    op.callBoxed(stack);
    size_t next = 0;
    for (const auto& value : stack) {
      for_tensors(value, [&](const at::Tensor& again) {
        if (const auto& result = results[next++]; result.defined()) result.copy_(again);
      });
    }
  }
}

std::function<void()> record(c10::Device, const std::function<void()>& work) {
  const auto noted = std::make_shared<Tape>();
  {
    tape = noted.get();
    const c10::impl::IncludeDispatchKeyGuard notes(kKey);
    work();
  }
  TORCH_CHECK(!noted->waits, "operation not permitted when stream is capturing");
  return [noted] { replay(*noted); };
}

TORCH_LIBRARY_IMPL(_, Fake, notes) { notes.fallback(torch::CppFunction::makeFromBoxedFunction<&note>()); }

}  // namespace

GraphRecorder tape_recorder() { return record; }

}  // namespace lpnsr::testing
