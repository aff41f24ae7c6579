// Names, shapes, types and order of the pre-upsamplers' state dictionaries, against those of the official modules.
#include "core/error.h"
#include "diffusion/rrdbnet.h"
#include "diffusion/swinir.h"
#include "tests/support/reference.h"

namespace lpnsr::testing {
namespace {

nlohmann::json manifest_of(const StateDict& weights) {
  auto entries = nlohmann::json::array();
  for (const auto& [key, tensor] : weights) {
    entries.push_back({key, tensor.sizes().vec(), tensor.scalar_type() == torch::kInt64 ? "int64" : "float32"});
  }
  return entries;
}

TEST(UpsamplerManifests, SwinIRL) {
  LPNSR_REQUIRE_GOLDENS();
  EXPECT_EQ(manifest_of(state_dict(*SwinIR(SwinIROptions{}))), published_manifest("swinir_l_realsr_x4"));
}

TEST(UpsamplerManifests, RRDBNet) {
  LPNSR_REQUIRE_GOLDENS();
  EXPECT_EQ(manifest_of(state_dict(*RRDBNet(RRDBNetOptions{}))), published_manifest("rrdbnet_x4plus"));
}

TEST(UpsamplerManifests, OldNamesBecomeNewOnes) {
  LPNSR_REQUIRE_GOLDENS();
  StateDict old_names;
  for (const auto& entry : published_manifest("rrdbnet_x4_old_naming")) {
    old_names.add(entry.at(0), torch::zeros(entry.at(1).get<std::vector<int64_t>>()));
  }
  RRDBNet net(RRDBNetOptions{});
  EXPECT_THROW(load_strictly(*net, old_names, "old names"), DataError);
  EXPECT_NO_THROW(load_strictly(*net, rename_old_rrdb_keys(old_names), "renamed"));
  const auto new_names = state_dict(*net);
  EXPECT_EQ(manifest_of(rename_old_rrdb_keys(new_names)), manifest_of(new_names));
}

}  // namespace
}  // namespace lpnsr::testing
