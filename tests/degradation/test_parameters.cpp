#include <set>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "degradation/parameters.h"
#include "tests/support/fixtures.h"

namespace lpnsr {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(Parameters, SurviveJson) {
  for (const std::string flavour : {"resshift", "lpnsr", "realesrgan"}) {
    DegradationOptions options;
    options.flavour = flavour;
    RandomStream stream(11);
    for (int i = 0; i < 200; ++i) {
      const json written = to_json(draw_parameters(options, stream));
      EXPECT_EQ(to_json(parameters_from_json(json::parse(written.dump()))), written);
    }
  }
}

TEST(Parameters, SameStreamSameDraws) {
  RandomStream a(5), b(5), c(6);
  const auto first = to_json(draw_parameters({}, a));
  EXPECT_EQ(first, to_json(draw_parameters({}, b)));
  EXPECT_NE(first, to_json(draw_parameters({}, c)));
}

TEST(Parameters, ABatchSharesSizesAndKindsOnly) {
  RandomStream stream(4);
  std::set<double> sigmas;
  std::set<bool> second_orders;
  for (int i = 0; i < 20; ++i) {
    const auto batch = draw_batch({}, 6, stream);
    second_orders.insert(batch[0].second_order);
    for (const auto& one : batch) {
      for (const auto& [own, first] : {std::pair{&one.first, &batch[0].first}, {&one.second, &batch[0].second}}) {
        EXPECT_EQ(own->resize_factor, first->resize_factor);
        EXPECT_EQ(own->resize_mode, first->resize_mode);
        EXPECT_EQ(own->noise, first->noise);
        EXPECT_EQ(own->kernel.type == "none", first->kernel.type == "none");
      }
      EXPECT_EQ(one.second_order, batch[0].second_order);
      EXPECT_EQ(one.final_resize_mode, batch[0].final_resize_mode);
      EXPECT_EQ(one.final_sinc_before_jpeg, batch[0].final_sinc_before_jpeg);
      sigmas.insert(one.first.jpeg_quality);
    }
  }
  EXPECT_EQ(sigmas.size(), 120U);
  EXPECT_EQ(second_orders.size(), 2U);
}

TEST(Parameters, FaultsAreNamed) {
  RandomStream stream(3);
  DegradationOptions options;
  options.first.sinc_prob = 0.0;
  const json good = to_json(draw_parameters(options, stream));
  const auto with = [&good](const std::string& pointer, const json& value) {
    json changed = good;
    changed[json::json_pointer(pointer)] = value;
    return changed;
  };
  json missing = good;
  missing["first"]["kernel"].erase("size");
  EXPECT_THROW_MESSAGE(parameters_from_json(missing), DataError, HasSubstr("first.kernel.size: is missing"));
  EXPECT_THROW_MESSAGE(parameters_from_json(with("/first/kernel/size", 4)), DataError, HasSubstr("first.kernel.size: an odd number"));
  EXPECT_THROW_MESSAGE(parameters_from_json(with("/first/kernel/size", 1e9)), DataError, HasSubstr("first.kernel.size"));
  EXPECT_THROW_MESSAGE(parameters_from_json(with("/first/kernel/sigma_x", 0)), DataError, HasSubstr("first.kernel.sigma_x"));
  EXPECT_THROW_MESSAGE(parameters_from_json(with("/second/jpeg_quality", 0)), DataError,
                       HasSubstr("second.jpeg_quality: a number from 1 to 100"));
  EXPECT_THROW_MESSAGE(parameters_from_json(with("/flavour", "bsrgan")), DataError,
                       AllOf(HasSubstr("flavour: one of"), HasSubstr("bsrgan")));
  EXPECT_THROW_MESSAGE(parameters_from_json(with("/second", 3)), DataError, HasSubstr("second: an object"));
  EXPECT_THROW_MESSAGE(parameters_from_json(with("/first/noise_seed", -1)), DataError, HasSubstr("first.noise_seed"));
  EXPECT_THROW_MESSAGE(parameters_from_json(json::array()), DataError, HasSubstr("an object"));
}

TEST(Options, ImpossibleOnesAreRefused) {
  const auto read = [](const std::string& toml) {
    DegradationOptions options;
    read_config_text(fields_of(options), toml, "test.toml");
    return options;
  };
  EXPECT_EQ(read("scale = 2").scale, 2);
  EXPECT_EQ(read("").second.blur_kernel_size, 15);
  EXPECT_THROW_MESSAGE(read("[first]\nblur_kernel_size = 20"), UsageError, HasSubstr("degradation.first.blur_kernel_size: must be odd"));
  EXPECT_THROW_MESSAGE(read("[second]\nkernel_prob = [1.0, 0.0]"), UsageError, HasSubstr("degradation.second.kernel_prob: 6 numbers"));
  EXPECT_THROW_MESSAGE(read("[first]\njpeg_range = [90, 30]"), UsageError, HasSubstr("degradation.first.jpeg_range"));
  EXPECT_THROW_MESSAGE(read("[first]\nresize_prob = [0, 0, 0]"), UsageError, HasSubstr("above zero"));
  EXPECT_THROW_MESSAGE(read("flavour = \"realesrgan\"\n[second]\nblur_kernel_size = 5"), UsageError, HasSubstr("realesrgan"));
  EXPECT_THROW(read("flavour = \"bsrgan\""), UsageError);
}

TEST(Options, SurviveToml) {
  DegradationOptions options;
  options.second.noise_range = {2.0, 3.0};
  DegradationOptions again;
  read_config_text(fields_of(again), write_config(fields_of(options)), "written");
  EXPECT_EQ(write_config(fields_of(again)), write_config(fields_of(options)));
}

}  // namespace
}  // namespace lpnsr
