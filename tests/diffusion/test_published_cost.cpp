// What the published networks cost, known from elsewhere (a profile of the published code).
#include "core/work_counter.h"
#include "diffusion/autoencoder.h"
#include "diffusion/swin_unet.h"
#include "tests/support/fixtures.h"

namespace lpnsr {
namespace {

TEST(PublishedCost, OfAPassAt256) {
  const torch::NoGradGuard no_grad;
  const auto expect_gigaflops = [](double want, const std::function<void()>& work) {
    EXPECT_NEAR(count_work(work).flops / 1e9, want, 0.01 * want);
  };
  SwinUNet denoiser{SwinUNetOptions{}};
  denoiser->eval();
  const at::Tensor latent = torch::rand({1, 3, 64, 64});
  expect_gigaflops(101, [&] { denoiser->forward(latent, torch::tensor({3}), latent); });
  Autoencoder autoencoder{AutoencoderOptions{}};
  autoencoder->eval();
  expect_gigaflops(345, [&] { autoencoder->encode(torch::rand({1, 3, 256, 256})); });
  expect_gigaflops(671, [&] { autoencoder->decode_not_quantised(latent); });
}

}  // namespace
}  // namespace lpnsr
