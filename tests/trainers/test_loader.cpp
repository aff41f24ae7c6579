#include "core/error.h"
#include "core/image.h"
#include "tests/support/fixtures.h"
#include "tests/support/reference.h"
#include "tests/support/synthetic.h"
#include "trainers/crop.h"
#include "trainers/data.h"

namespace lpnsr {
namespace {

using lpnsr::testing::TemporaryFolder;
using lpnsr::testing::write_text;
using ::testing::AllOf;
using ::testing::HasSubstr;

class Loader : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(folder / "deep/er");
    for (const auto& [name, height, width] :
         {std::tuple{"b.png", 40, 56}, {"a.png", 20, 24}, {"deep/er/c.png", 33, 70}, {"deep/d.jpg", 64, 64}}) {
      write_rgb(folder / name, lpnsr::testing::synthetic_tensor("loader", name, {3, height, width}, 0.5, 0.5));
    }
    data.folders = {folder.path().string()};
    data.crop_size = 32;
    data.workers = 2;
    data.prefetch = 2;
  }
  std::vector<Batch> batches(int64_t count, int64_t first_sample = 0, int64_t batch_size = 3) const {
    TrainingLoader loader(data, {}, 99, batch_size, first_sample);
    std::vector<Batch> result;
    for (int64_t i = 0; i < count; ++i) result.push_back(loader.next());
    EXPECT_EQ(loader.position(), first_sample + count * batch_size);
    return result;
  }
  static void expect_same(const Batch& a, const Batch& b) {
    EXPECT_TRUE(torch::equal(a.hr, b.hr));
    EXPECT_TRUE(torch::equal(a.lr, b.lr));
  }
  TemporaryFolder folder;
  DataOptions data;
};

TEST_F(Loader, ShapesAndRanges) {
  for (const auto& batch : batches(4)) {
    EXPECT_EQ(batch.hr.sizes(), (std::vector<int64_t>{3, 3, 32, 32}));
    EXPECT_EQ(batch.lr.sizes(), (std::vector<int64_t>{3, 3, 8, 8}));
    for (const auto& part : {batch.hr, batch.lr}) {
      EXPECT_GE(part.min().item<float>(), 0.0F);
      EXPECT_LE(part.max().item<float>(), 1.0F);
    }
  }
}

TEST_F(Loader, WorkersPrefetchAndCacheChangeNothing) {
  const auto want = batches(7);
  for (const auto& [workers, prefetch, cache] : {std::tuple{1, 1, false}, {3, 5, false}, {3, 1, true}}) {
    data.workers = workers, data.prefetch = prefetch, data.cache = cache;
    const auto got = batches(7);
    for (size_t i = 0; i < want.size(); ++i) expect_same(got[i], want[i]);
  }
}

TEST_F(Loader, AResumeGoesOnWhereItStopped) {
  const auto whole = batches(8);
  const auto rest = batches(3, 5 * 3);
  for (size_t i = 0; i < rest.size(); ++i) expect_same(rest[i], whole[i + 5]);
  const auto single = batches(2, 7, 1);  // the batch size does not alter a sample
  EXPECT_TRUE(torch::equal(single[0].hr[0], whole[2].hr[1]));
}

TEST_F(Loader, ThePairPoolAltersTheOrderAlone) {
  const auto plain = batches(12);
  data.pair_pool = 6;
  const auto mixed = batches(12);
  for (size_t i = 0; i < 2; ++i) expect_same(mixed[i], plain[i]);  // while it fills
  int elsewhere = 0;
  for (size_t i = 2; i < mixed.size(); ++i) {
    for (int64_t k = 0; k < 3; ++k) {
      bool found = false;
      for (size_t j = 0; j < i && !found; ++j) {
        for (int64_t l = 0; l < 3 && !found; ++l) {
          found = torch::equal(mixed[i].hr[k], plain[j].hr[l]) && torch::equal(mixed[i].lr[k], plain[j].lr[l]);
        }
      }
      elsewhere += found ? 1 : 0;
    }
  }
  EXPECT_EQ(elsewhere, 30);
  data.workers = 3;
  const auto rest = batches(4, 8 * 3);
  for (size_t i = 0; i < rest.size(); ++i) expect_same(rest[i], mixed[i + 8]);
  EXPECT_THROW_MESSAGE(batches(1, 7), UsageError, HasSubstr("pair pool"));
}

TEST_F(Loader, DrawsOnceABatchWhereAsked) {
  DegradationOptions degradation;
  degradation.draws = "batch";
  std::set<double> factors;
  TrainingLoader loader(data, degradation, 99, 3);
  for (int i = 0; i < 6; ++i) {
    const Batch batch = loader.next();
    for (const auto& p : batch.parameters) EXPECT_EQ(p.first.resize_factor, batch.parameters[0].first.resize_factor);
    EXPECT_NE(batch.parameters[0].first.jpeg_quality, batch.parameters[1].first.jpeg_quality);
    factors.insert(batch.parameters[0].first.resize_factor);
  }
  EXPECT_GE(factors.size(), 4U);
}

TEST_F(Loader, CutsThePairOutOfALargerOne) {
  data.degraded_size = 48;
  DegradationOptions clean;  // nothing but the last resize, so that the pair can be told to belong together
  clean.first.blur_prob = clean.second_order_prob = clean.final_sinc_prob = 0.0;
  clean.first.resize_prob = {0, 0, 1}, clean.first.gaussian_noise_prob = 1.0, clean.first.noise_range = {0, 0};
  clean.jpeg = "none";
  TrainingLoader loader(data, clean, 99, 3);
  for (int i = 0; i < 4; ++i) {
    const Batch batch = loader.next();
    EXPECT_EQ(batch.hr.sizes(), (std::vector<int64_t>{3, 3, 32, 32}));
    EXPECT_EQ(batch.lr.sizes(), (std::vector<int64_t>{3, 3, 8, 8}));
    const auto shrunk = torch::adaptive_avg_pool2d(batch.hr, {8, 8});
    for (int64_t k = 0; k < 3; ++k) {
      if (batch.parameters[static_cast<size_t>(k)].final_resize_mode == "area") {
        EXPECT_LE((batch.lr[k] - shrunk[k]).abs().max().item<double>(), 0.51 / 255 + 1e-6);
      }
    }
  }
  data.degraded_size = 16;
  EXPECT_THROW_MESSAGE(read_config_text(fields_of(data), "", "test"), UsageError, HasSubstr("data.degraded_size"));
}

TEST_F(Loader, TheDeviceDegradesWhereAsked) {
  data.degrade_on = "device";
  auto got = batches(2);
  const auto again = batches(2);
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_FALSE(got[i].lr.defined());
    Batch same = again[i];
    degrade_on_device(got[i]);
    degrade_on_device(same);
    EXPECT_EQ(got[i].lr.sizes(), (std::vector<int64_t>{3, 3, 8, 8}));
    expect_same(got[i], same);
  }
}

TEST_F(Loader, EveryPictureOnceAnEpoch) {
  data.folders.clear();
  std::string list;
  for (int i = 0; i < 7; ++i) {
    const std::string name = "flat" + std::to_string(i) + ".png";
    write_rgb(folder / name, torch::full({3, 32, 32}, static_cast<double>(i * 30) / 255.0));
    list += name + "\n";
  }
  write_text(folder / "list.txt", list + "\n");
  data.lists = {(folder / "list.txt").string()};
  const auto samples = batches(14, 0, 1);
  std::vector<std::set<int>> epochs(2);
  for (size_t i = 0; i < samples.size(); ++i)
    epochs[i / 7].insert(static_cast<int>(std::lround(samples[i].hr[0][0][0][0].item<float>() * 255)));
  EXPECT_EQ(epochs[0].size(), 7U);
  EXPECT_EQ(epochs[1].size(), 7U);
}

TEST_F(Loader, UnreadablePicturesAreNamedOrSkipped) {
  write_text(folder / "broken.png", "not a picture");
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(batches(3).size(), 3U);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), AllOf(HasSubstr("skipped"), HasSubstr("broken.png")));
  data.skip_unreadable = false;
  EXPECT_THROW_MESSAGE(batches(3), DataError, AllOf(HasSubstr("broken.png"), HasSubstr("is not an image")));
  data.skip_unreadable = true;
  data.folders = {(folder / "broken.png").string()};
  EXPECT_THROW_MESSAGE(batches(1), DataError, HasSubstr("none of the training pictures"));
}

TEST_F(Loader, RanksShareTheSameBatches) {
  TrainingLoader whole(data, {}, 1, 4, 8);
  TrainingLoader first(data, {}, 1, 4, 8, {0, 2}), second(data, {}, 1, 4, 8, {1, 2});
  for (int i = 0; i < 3; ++i) {
    const Batch batch = whole.next(), one = first.next(), two = second.next();
    EXPECT_TRUE(torch::equal(torch::cat({one.hr, two.hr}), batch.hr));
    EXPECT_TRUE(torch::equal(torch::cat({one.lr, two.lr}), batch.lr));
    EXPECT_EQ(one.names.size() + two.names.size(), batch.names.size());
    EXPECT_EQ(two.names.back(), batch.names.back());
    EXPECT_EQ(first.position(), whole.position());
  }
}

TEST_F(Loader, EndsWithWorkUnderWay) {
  data.prefetch = 50;
  const TrainingLoader loader(data, {}, 1, 4, 0);
  EXPECT_EQ(loader.pictures(), 4);
}

TEST_F(Loader, CropMustFitTheScale) {
  data.crop_size = 30;
  EXPECT_THROW_MESSAGE(batches(1), UsageError, HasSubstr("no multiple of degradation.scale"));
}

TEST_F(Loader, FindsPicturesByFolderAndList) {
  const auto names = [this] {
    std::vector<std::string> result;
    for (const auto& path : find_pictures(data)) result.push_back(path.lexically_relative(folder.path()).generic_string());
    return result;
  };
  EXPECT_THAT(names(), ::testing::ElementsAre("a.png", "b.png", "deep/d.jpg", "deep/er/c.png"));
  data.folders = {folder.path().string() + ":2"};
  EXPECT_THAT(names(), ::testing::ElementsAre("a.png", "b.png"));
  write_text(folder / "list.txt", "deep/d.jpg\r\n\n  b.png\n");
  data.lists = {(folder / "list.txt").string()};
  EXPECT_THAT(names(), ::testing::ElementsAre("a.png", "b.png", "deep/d.jpg"));

  data.folders = {folder.path().string() + ":20"};
  EXPECT_THROW_MESSAGE(find_pictures(data), UsageError, HasSubstr("it holds 4"));
  data.folders = {(folder / "none").string()};
  EXPECT_THROW_MESSAGE(find_pictures(data), UsageError, HasSubstr("does not exist"));
  data.folders.clear();
  write_text(folder / "list.txt", "\nmissing.png\n");
  EXPECT_THROW_MESSAGE(find_pictures(data), UsageError, HasSubstr("list.txt:2: "));
  data.lists.clear();
  EXPECT_THROW_MESSAGE(find_pictures(data), UsageError, HasSubstr("data.folders"));
}

TEST(Crop, PadsRightAndBelowByReflection) {
  const Picture picture{2, 3, {0, 51, 102, 153, 204, 255, 0, 51, 102, 153, 204, 255, 0, 51, 102, 153, 204, 255}, {}};
  auto out = torch::empty({3, 5, 5});
  CropParameters crop;
  crop.size = crop.side = 5;
  crop_into(picture, crop, out.data_ptr<float>());
  const std::vector<double> want = {0, .2, .4, .2, 0, .6, .8, 1, .8, .6, 0, .2, .4, .2, 0, .6, .8, 1, .8, .6, 0, .2, .4, .2, 0};
  EXPECT_TRUE(lpnsr::testing::close(out[2].flatten(), torch::tensor(want), 1e-6, 0));
}

TEST(Crop, TurnsLikeRot90) {
  const auto values = lpnsr::testing::synthetic_tensor("crop", "picture", {3, 6, 6}, 0.5, 0.5);
  const Picture picture{6, 6, {}, {values.data_ptr<float>(), values.data_ptr<float>() + values.numel()}};
  for (int64_t turns = 0; turns < 4; ++turns) {
    auto out = torch::empty({3, 6, 6});
    crop_into(picture, {.size = 6, .side = 6, .flip = true, .quarter_turns = turns}, out.data_ptr<float>());
    EXPECT_TRUE(torch::equal(out, torch::rot90(values.flip(2), turns, {1, 2}))) << turns;
  }
}

TEST(Halving, AveragesFours) {
  const Picture half = halved({2, 3, {0, 51, 9, 102, 255, 9, 0, 0, 9, 0, 0, 9, 51, 51, 9, 51, 51, 9}, {}});
  EXPECT_EQ(half.height, 1);
  EXPECT_EQ(half.width, 1);
  EXPECT_NEAR(half.at(0, 0, 0), 0.4, 1e-6);
  EXPECT_NEAR(half.at(2, 0, 0), 0.2, 1e-6);
}

TEST(Halving, GoesOnUntilTheLongSideFits) {
  const TemporaryFolder folder;
  write_rgb(folder / "wide.png", torch::full({3, 24, 64}, 0.2));
  write_rgb(folder / "thin.png", torch::full({3, 2, 64}, 0.2));
  DataOptions data;
  data.folders = {(folder / "").string()};
  data.halve_above = 16;
  PictureStore store(data);
  ASSERT_EQ(store.size(), 2);
  const auto thin = store.get(0), wide = store.get(1);
  EXPECT_EQ(wide->width, 16);
  EXPECT_EQ(wide->height, 6);
  EXPECT_EQ(thin->height, 1);  // no further than one row
  EXPECT_EQ(thin->width, 32);
}

}  // namespace
}  // namespace lpnsr
