#include "eval/inception.h"

#include <ATen/Functions.h>

namespace lpnsr {
namespace {

// Counts only the pixels inside, unlike torchvision's.
at::Tensor average_of_3x3(const at::Tensor& x) { return at::avg_pool2d(x, {3, 3}, {1, 1}, {1, 1}, false, false); }
at::Tensor halving_pool(const at::Tensor& x) { return at::max_pool2d(x, {3, 3}, {2, 2}); }

ConvolutionShape valid_kernel(int64_t in, int64_t out, int64_t kernel, int64_t stride) { return {in, out, kernel, kernel, stride, 0, 0}; }
ConvolutionShape line_kernel(int64_t in, int64_t out, int64_t height, int64_t width) {
  return {in, out, height, width, 1, height / 2, width / 2};
}

struct Named {
  std::string name;
  ConvolutionShape shape;
};

std::vector<Named> stem() {
  return {{"Conv2d_1a_3x3", valid_kernel(3, 32, 3, 2)},
          {"Conv2d_2a_3x3", valid_kernel(32, 32, 3, 1)},
          {"Conv2d_2b_3x3", square_kernel(32, 64, 3)},
          {"Conv2d_3b_1x1", square_kernel(64, 80, 1)},
          {"Conv2d_4a_3x3", valid_kernel(80, 192, 3, 1)}};
}

void add_a(std::vector<Named>& all, const std::string& unit, int64_t in, int64_t pool) {
  for (const auto& [name, shape] : std::vector<Named>{{"branch1x1", square_kernel(in, 64, 1)},
                                                      {"branch5x5_1", square_kernel(in, 48, 1)},
                                                      {"branch5x5_2", square_kernel(48, 64, 5)},
                                                      {"branch3x3dbl_1", square_kernel(in, 64, 1)},
                                                      {"branch3x3dbl_2", square_kernel(64, 96, 3)},
                                                      {"branch3x3dbl_3", square_kernel(96, 96, 3)},
                                                      {"branch_pool", square_kernel(in, pool, 1)}})
    all.push_back({unit + name, shape});
}

void add_c(std::vector<Named>& all, const std::string& unit, int64_t width) {
  constexpr int64_t in = 768, out = 192;
  for (const auto& [name, shape] : std::vector<Named>{{"branch1x1", square_kernel(in, out, 1)},
                                                      {"branch7x7_1", square_kernel(in, width, 1)},
                                                      {"branch7x7_2", line_kernel(width, width, 1, 7)},
                                                      {"branch7x7_3", line_kernel(width, out, 7, 1)},
                                                      {"branch7x7dbl_1", square_kernel(in, width, 1)},
                                                      {"branch7x7dbl_2", line_kernel(width, width, 7, 1)},
                                                      {"branch7x7dbl_3", line_kernel(width, width, 1, 7)},
                                                      {"branch7x7dbl_4", line_kernel(width, width, 7, 1)},
                                                      {"branch7x7dbl_5", line_kernel(width, out, 1, 7)},
                                                      {"branch_pool", square_kernel(in, out, 1)}})
    all.push_back({unit + name, shape});
}

void add_e(std::vector<Named>& all, const std::string& unit, int64_t in) {
  for (const auto& [name, shape] : std::vector<Named>{{"branch1x1", square_kernel(in, 320, 1)},
                                                      {"branch3x3_1", square_kernel(in, 384, 1)},
                                                      {"branch3x3_2a", line_kernel(384, 384, 1, 3)},
                                                      {"branch3x3_2b", line_kernel(384, 384, 3, 1)},
                                                      {"branch3x3dbl_1", square_kernel(in, 448, 1)},
                                                      {"branch3x3dbl_2", square_kernel(448, 384, 3)},
                                                      {"branch3x3dbl_3a", line_kernel(384, 384, 1, 3)},
                                                      {"branch3x3dbl_3b", line_kernel(384, 384, 3, 1)},
                                                      {"branch_pool", square_kernel(in, 192, 1)}})
    all.push_back({unit + name, shape});
}

std::vector<Named> all_layers() {
  auto all = stem();
  add_a(all, "Mixed_5b.", 192, 32);
  add_a(all, "Mixed_5c.", 256, 64);
  add_a(all, "Mixed_5d.", 288, 64);
  all.push_back({"Mixed_6a.branch3x3", valid_kernel(288, 384, 3, 2)});
  all.push_back({"Mixed_6a.branch3x3dbl_1", square_kernel(288, 64, 1)});
  all.push_back({"Mixed_6a.branch3x3dbl_2", square_kernel(64, 96, 3)});
  all.push_back({"Mixed_6a.branch3x3dbl_3", valid_kernel(96, 96, 3, 2)});
  add_c(all, "Mixed_6b.", 128);
  add_c(all, "Mixed_6c.", 160);
  add_c(all, "Mixed_6d.", 160);
  add_c(all, "Mixed_6e.", 192);
  all.push_back({"Mixed_7a.branch3x3_1", square_kernel(768, 192, 1)});
  all.push_back({"Mixed_7a.branch3x3_2", valid_kernel(192, 320, 3, 2)});
  all.push_back({"Mixed_7a.branch7x7x3_1", square_kernel(768, 192, 1)});
  all.push_back({"Mixed_7a.branch7x7x3_2", line_kernel(192, 192, 1, 7)});
  all.push_back({"Mixed_7a.branch7x7x3_3", line_kernel(192, 192, 7, 1)});
  all.push_back({"Mixed_7a.branch7x7x3_4", valid_kernel(192, 192, 3, 2)});
  add_e(all, "Mixed_7b.", 1280);
  add_e(all, "Mixed_7c.", 2048);
  return all;
}

}  // namespace

InceptionV3::InceptionV3(const std::vector<std::filesystem::path>& files, c10::Device device) : device_(device) {
  auto merged = merged_weights(files);
  WeightReader reader(std::move(merged.entries), merged.origin, device);
  for (const auto& [name, shape] : all_layers())
    layers_[name] = take_normalised_convolution(reader, name + ".conv", name + ".bn", shape, 1e-3);
  reader.skip("fc.weight", {1008, 2048});
  reader.skip("fc.bias", {1008});
  reader.finish();
}

at::Tensor InceptionV3::run(const std::string& name, const at::Tensor& x) const { return layers_.at(name)(x).relu_(); }

at::Tensor InceptionV3::chain(const std::string& unit, const std::vector<const char*>& names, const at::Tensor& x) const {
  auto y = x;
  for (const char* name : names) y = run(unit + name, y);
  return y;
}

at::Tensor InceptionV3::unit_a(const std::string& unit, const at::Tensor& x) const {
  return at::cat({run(unit + "branch1x1", x), chain(unit, {"branch5x5_1", "branch5x5_2"}, x),
                  chain(unit, {"branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"}, x), run(unit + "branch_pool", average_of_3x3(x))},
                 1);
}

at::Tensor InceptionV3::unit_c(const std::string& unit, const at::Tensor& x) const {
  return at::cat({run(unit + "branch1x1", x), chain(unit, {"branch7x7_1", "branch7x7_2", "branch7x7_3"}, x),
                  chain(unit, {"branch7x7dbl_1", "branch7x7dbl_2", "branch7x7dbl_3", "branch7x7dbl_4", "branch7x7dbl_5"}, x),
                  run(unit + "branch_pool", average_of_3x3(x))},
                 1);
}

at::Tensor InceptionV3::unit_e(const std::string& unit, const at::Tensor& x, bool max_pool) const {
  const auto narrow = run(unit + "branch3x3_1", x), deep = chain(unit, {"branch3x3dbl_1", "branch3x3dbl_2"}, x);
  const auto pooled = max_pool ? at::max_pool2d(x, {3, 3}, {1, 1}, {1, 1}) : average_of_3x3(x);
  return at::cat({run(unit + "branch1x1", x), run(unit + "branch3x3_2a", narrow), run(unit + "branch3x3_2b", narrow),
                  run(unit + "branch3x3dbl_3a", deep), run(unit + "branch3x3dbl_3b", deep), run(unit + "branch_pool", pooled)},
                 1);
}

at::Tensor InceptionV3::operator()(const at::Tensor& image, std::map<std::string, at::Tensor>* stages) const {
  const auto note = [&](const char* name, const at::Tensor& value) {
    if (stages != nullptr) (*stages)[name] = value;
  };
  auto x = image.to(device_).contiguous(at::MemoryFormat::ChannelsLast);
  x = halving_pool(chain("", {"Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3"}, x));
  note("blocks.0", x);
  x = halving_pool(chain("", {"Conv2d_3b_1x1", "Conv2d_4a_3x3"}, x));
  note("blocks.1", x);
  for (const char* unit : {"Mixed_5b.", "Mixed_5c.", "Mixed_5d."}) x = unit_a(unit, x);
  x = at::cat(
      {run("Mixed_6a.branch3x3", x), chain("Mixed_6a.", {"branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"}, x), halving_pool(x)}, 1);
  for (const char* unit : {"Mixed_6b.", "Mixed_6c.", "Mixed_6d.", "Mixed_6e."}) x = unit_c(unit, x);
  note("blocks.2", x);
  x = at::cat({chain("Mixed_7a.", {"branch3x3_1", "branch3x3_2"}, x),
               chain("Mixed_7a.", {"branch7x7x3_1", "branch7x7x3_2", "branch7x7x3_3", "branch7x7x3_4"}, x), halving_pool(x)},
              1);
  x = unit_e("Mixed_7b.", x, false);
  // The graph of 2015 has a maximum where the paper has a mean.
  x = unit_e("Mixed_7c.", x, true);
  return x.mean({2, 3});
}

}  // namespace lpnsr
