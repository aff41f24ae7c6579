#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "degradation/parameters.h"

namespace lpnsr {
namespace {

using nlohmann::json;

// An object's members by key, with the whole path in what is thrown.
class Reader {
 public:
  Reader(const json& object, std::string path) : object_(object), path_(std::move(path)) {
    if (!object.is_object())
      throw DataError(fmt::format("{}: an object was expected, got {}", path_.empty() ? "parameters" : path_, object.dump()));
  }

  Reader section(const char* key) const { return {find(key), name(key)}; }
  bool boolean(const char* key) const {
    if (!find(key).is_boolean()) fail(key, "true or false");
    return find(key).get<bool>();
  }
  double real(const char* key, double least, double largest) const {
    const double value = find(key).is_number() ? find(key).get<double>() : std::nan("");
    if (!(value >= least && value <= largest)) fail(key, fmt::format("a number from {} to {}", least, largest));
    return value;
  }
  int64_t integer(const char* key, int64_t least, int64_t largest) const {
    const json& value = find(key);
    const bool large = value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(largest);
    if (!value.is_number_integer() || large || value.get<int64_t>() < least || value.get<int64_t>() > largest) {
      fail(key, fmt::format("an integer from {} to {}", least, largest));
    }
    return value.get<int64_t>();
  }
  uint64_t seed(const char* key) const {
    const json& value = find(key);
    if (!value.is_number_unsigned() && !(value.is_number_integer() && value.get<int64_t>() >= 0)) fail(key, "an integer of 0 and above");
    return value.get<uint64_t>();
  }
  std::string choice(const char* key, const std::vector<std::string>& allowed) const {
    const std::string value = find(key).is_string() ? find(key).get<std::string>() : "";
    if (std::find(allowed.begin(), allowed.end(), value) == allowed.end()) {
      std::string list;
      for (const auto& word : allowed) list += (list.empty() ? "" : ", ") + word;
      fail(key, "one of " + list);
    }
    return value;
  }
  [[noreturn]] void fail(const char* key, const std::string& wanted) const {
    throw DataError(fmt::format("{}: {} was expected, got {}", name(key), wanted, find(key).dump()));
  }

 private:
  std::string name(const char* key) const { return path_.empty() ? key : path_ + "." + key; }
  const json& find(const char* key) const {
    const auto found = object_.find(key);
    if (found == object_.end()) throw DataError(fmt::format("{}: is missing from the parameters", name(key)));
    return *found;
  }

  const json& object_;
  std::string path_;
};

json kernel_json(const KernelParameters& kernel) {
  return {{"type", kernel.type},       {"size", kernel.size},       {"padded_size", kernel.padded_size},
          {"sigma_x", kernel.sigma_x}, {"sigma_y", kernel.sigma_y}, {"theta", kernel.theta},
          {"beta", kernel.beta},       {"omega", kernel.omega}};
}

KernelParameters read_kernel(const Reader& reader) {
  KernelParameters kernel;
  kernel.type = reader.choice("type", kernel_types);
  kernel.size = reader.integer("size", 0, 99);
  kernel.padded_size = reader.integer("padded_size", 0, 99);
  const bool bivariate = kernel.type.ends_with("iso"), shaped = bivariate && kernel.type != "iso" && kernel.type != "aniso";
  if (kernel.type != "none" && kernel.size % 2 == 0) reader.fail("size", "an odd number");
  if (kernel.padded_size != 0 && (kernel.padded_size % 2 == 0 || kernel.padded_size < kernel.size)) {
    reader.fail("padded_size", "0 or an odd number not below the size");
  }
  kernel.sigma_x = reader.real("sigma_x", bivariate ? 0.01 : 0.0, 1000.0);
  kernel.sigma_y = reader.real("sigma_y", bivariate ? 0.01 : 0.0, 1000.0);
  kernel.theta = reader.real("theta", -100.0, 100.0);
  kernel.beta = reader.real("beta", shaped ? 0.01 : 0.0, 1000.0);
  kernel.omega = reader.real("omega", kernel.type == "sinc" ? 0.01 : 0.0, 100.0);
  return kernel;
}

json stage_json(const StageParameters& stage) {
  return {{"kernel", kernel_json(stage.kernel)}, {"resize_factor", stage.resize_factor},
          {"resize_mode", stage.resize_mode},    {"noise", stage.noise},
          {"noise_level", stage.noise_level},    {"gray_noise", stage.gray_noise},
          {"noise_seed", stage.noise_seed},      {"jpeg_quality", stage.jpeg_quality}};
}

StageParameters read_stage(const Reader& reader) {
  StageParameters stage;
  stage.kernel = read_kernel(reader.section("kernel"));
  stage.resize_factor = reader.real("resize_factor", 0.001, 16.0);
  stage.resize_mode = reader.choice("resize_mode", resize_modes);
  stage.noise = reader.choice("noise", {"gaussian", "poisson"});
  stage.noise_level = reader.real("noise_level", 0.0, 1000.0);
  stage.gray_noise = reader.boolean("gray_noise");
  stage.noise_seed = reader.seed("noise_seed");
  stage.jpeg_quality = reader.real("jpeg_quality", 1.0, 100.0);
  return stage;
}

}  // namespace

json to_json(const DegradationParameters& parameters) {
  return {{"flavour", parameters.flavour},
          {"jpeg", parameters.jpeg},
          {"scale", parameters.scale},
          {"first", stage_json(parameters.first)},
          {"second_order", parameters.second_order},
          {"second", stage_json(parameters.second)},
          {"final_sinc_before_jpeg", parameters.final_sinc_before_jpeg},
          {"final_sinc", kernel_json(parameters.final_sinc)},
          {"final_resize_mode", parameters.final_resize_mode},
          {"sharpen", parameters.sharpen}};
}

DegradationParameters parameters_from_json(const json& object) {
  const Reader reader(object, "");
  DegradationParameters parameters;
  parameters.flavour = reader.choice("flavour", {"resshift", "lpnsr", "realesrgan"});
  parameters.jpeg = reader.choice("jpeg", {"differentiable", "codec", "none"});
  parameters.scale = reader.integer("scale", 1, 16);
  parameters.first = read_stage(reader.section("first"));
  parameters.second_order = reader.boolean("second_order");
  parameters.second = read_stage(reader.section("second"));
  parameters.final_sinc_before_jpeg = reader.boolean("final_sinc_before_jpeg");
  parameters.final_sinc = read_kernel(reader.section("final_sinc"));
  parameters.final_resize_mode = reader.choice("final_resize_mode", resize_modes);
  parameters.sharpen = reader.boolean("sharpen");
  return parameters;
}

}  // namespace lpnsr
