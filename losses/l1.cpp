#include "losses/l1.h"

namespace lpnsr {

at::Tensor l1_loss(const at::Tensor& image, const at::Tensor& reference) { return torch::nn::functional::l1_loss(image, reference); }

}  // namespace lpnsr
