#include "diffusion/checkpointing.h"

#include <algorithm>
#include <mutex>
#include <optional>

#include <ATen/autocast_mode.h>

#include "core/autocast.h"
#include "core/error.h"

namespace lpnsr {
namespace {

using torch::autograd::variable_list;

at::Tensor random_state(c10::Device device) {
  auto generator = at::globalContext().defaultGenerator(device);
  const std::lock_guard lock(generator.mutex());
  return generator.get_state();
}

void set_random_state(c10::Device device, const at::Tensor& state) {
  auto generator = at::globalContext().defaultGenerator(device);
  const std::lock_guard lock(generator.mutex());
  generator.set_state(state);
}

// The default generator in an earlier state for the length of a scope.
class RandomStateScope {
 public:
  RandomStateScope(c10::Device device, const at::Tensor& state) : device_(device), before_(random_state(device)) {
    set_random_state(device, state);
  }
  ~RandomStateScope() { set_random_state(device_, before_); }
  RandomStateScope(const RandomStateScope&) = delete;
  RandomStateScope& operator=(const RandomStateScope&) = delete;

 private:
  c10::Device device_;
  at::Tensor before_;
};

// What the backward pass needs to repeat the forward pass.
struct Recipe : torch::CustomClassHolder {
  TensorFunction compute;
  std::vector<at::Tensor> parameters;
  c10::Device device = c10::kCPU;
  c10::ScalarType precision = c10::kFloat;
  std::optional<at::Tensor> random_state;
};

struct Recompute : torch::autograd::Function<Recompute> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const c10::intrusive_ptr<Recipe>& recipe, at::TensorList tensors) {
    const std::vector<at::Tensor> inputs(tensors.begin(), tensors.end() - static_cast<std::ptrdiff_t>(recipe->parameters.size()));
    context->saved_data["recipe"] = c10::IValue::make_capsule(recipe);
    context->save_for_backward(inputs);
    return recipe->compute(inputs);
  }

  static variable_list backward(torch::autograd::AutogradContext* context, const variable_list& gradient) {
    const auto recipe = c10::static_intrusive_pointer_cast<Recipe>(context->saved_data["recipe"].toCapsule());
    const torch::AutoGradMode with_gradients(true);
    variable_list inputs, wanted;
    std::vector<size_t> places;  // of `wanted` in the result, whose first entry belongs to the recipe
    for (const auto& saved : context->get_saved_variables()) {
      inputs.push_back(saved.detach().requires_grad_(saved.requires_grad()));
      if (saved.requires_grad()) {
        wanted.push_back(inputs.back());
        places.push_back(inputs.size());
      }
    }
    for (const auto& parameter : recipe->parameters) {
      places.push_back(1 + inputs.size() + static_cast<size_t>(&parameter - recipe->parameters.data()));
      wanted.push_back(parameter);
    }
    at::Tensor output;
    {
      const AutocastScope autocast(recipe->device, recipe->precision);
      std::optional<RandomStateScope> random;
      if (recipe->random_state) random.emplace(recipe->device, *recipe->random_state);
      output = recipe->compute(inputs);
    }
    const auto found =
        torch::autograd::grad({output}, wanted, {gradient.at(0)}, std::nullopt, /*create_graph=*/false, /*allow_unused=*/true);
    variable_list result(1 + inputs.size() + recipe->parameters.size());
    for (size_t i = 0; i < found.size(); ++i) result[places[i]] = found[i];
    return result;
  }
};

}  // namespace

Recomputed parse_recomputed(const std::string& name) {
  if (name == "none") return Recomputed::none;
  if (name == "attention") return Recomputed::attention;
  if (name == "all") return Recomputed::all;
  throw UsageError("'" + name + "' can not be recomputed; there are none, attention and all");
}

Recomputed of_frozen(Recomputed what) { return what == Recomputed::all ? what : Recomputed::none; }

at::Tensor checkpoint(const TensorFunction& compute, const std::vector<at::Tensor>& inputs, const std::vector<at::Tensor>& parameters,
                      bool draws) {
  const auto recipe = c10::make_intrusive<Recipe>();
  const auto needs_gradient = [](const at::Tensor& tensor) { return tensor.requires_grad(); };
  std::copy_if(parameters.begin(), parameters.end(), std::back_inserter(recipe->parameters), needs_gradient);
  const bool wanted = !recipe->parameters.empty() || std::any_of(inputs.begin(), inputs.end(), needs_gradient);
  if (!torch::GradMode::is_enabled() || !wanted) return compute(inputs);
  recipe->compute = compute;
  recipe->device = inputs.at(0).device();
  if (at::autocast::is_autocast_enabled(recipe->device.type())) recipe->precision = at::autocast::get_autocast_dtype(recipe->device.type());
  if (draws) recipe->random_state = random_state(recipe->device);
  std::vector<at::Tensor> tensors = inputs;
  tensors.insert(tensors.end(), recipe->parameters.begin(), recipe->parameters.end());
  return Recompute::apply(recipe, at::TensorList(tensors));
}

}  // namespace lpnsr
