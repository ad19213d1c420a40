// Every change of an image does to each channel what it does to one, and to 16 bits what it does to 8.
#include <gtest/gtest.h>

#include <functional>

#include "marrow/image/convert.h"
#include "marrow/image/network_input.h"
#include "marrow/image/resize.h"
#include "marrow/image/scene.h"
#include "marrow/image/warp.h"
#include "marrow/loader/augment/blend.h"
#include "marrow/loader/augment/classification.h"
#include "marrow/loader/augment/copy_paste.h"
#include "marrow/loader/augment/flip.h"
#include "marrow/loader/augment/mosaic.h"
#include "marrow/loader/augment/network_planes.h"
#include "marrow/loader/augment/pipeline.h"
#include "marrow/loader/augment/rand_augment.h"

namespace marrow::loader {
namespace {

using image::Image;

struct Change {
  const char* name;
  std::function<Image(const Image&)> make;
};

SharedSample shared(const Image& image) {
  return {std::make_shared<const Image>(image), {{0, {10, 10, 30, 40}, {{10, 10}, {30, 12}, {20, 40}}}}};
}

Image turned(const Image& image) {
  Image result = image;
  mirror_vertically(result);
  return result;
}

// Of an image of 70 x 50 pixels.
const std::vector<Change>& changes() {
  static const std::vector<Change> all = {
      {"smaller", [](const Image& image) { return image::resize_linear(image, 31, 44); }},
      {"larger", [](const Image& image) { return image::resize_linear(image, 140, 77); }},
      {"as large", [](const Image& image) { return image::resize_linear(image, 70, 50); }},
      {"antialiased",
       [](const Image& image) {
         return image::resize(image, 33, 90, image::ResizeFilter::kAntialiasedBilinear);
       }},
      {"for a classifier",
       [](const Image& image) {
         return image::resize_for_classifier(image, 40, 48, image::ResizeFilter::kAntialiasedBicubic);
       }},
      {"letterbox",
       [](const Image& image) {
         return image::letterbox(image, letterbox_geometry({70, 50}, {64, 64}));
       }},
      {"affine",
       [](const Image& image) {
         Image result(61, 59, 0, image.format());
         image::warp_affine(image.pixels(), {0.8, 0.3, 4.2, -0.25, 1.1, 7.7, 0, 0, 1}, result.pixels(), 114);
         return result;
       }},
      {"perspective",
       [](const Image& image) {
         Image result(61, 59, 0, image.format());
         image::warp_perspective(image.pixels(), {0.9, 0.2, 4.2, -0.1, 1.1, 2.7, 0.001, 0.0005, 1},
                                 result.pixels(), 114);
         return result;
       }},
      {"left to right",
       [](const Image& image) {
         Image result = image;
         mirror_horizontally(result);
         return result;
       }},
      {"upside down", turned},
      {"mosaic",
       [](const Image& image) {
         const SharedSample tile = shared(image);
         return mosaic(std::array<SharedSample, 4>{tile, tile, tile, tile}, 64, {50, 71}).image;
       }},
      {"mixup",
       [](const Image& image) {
         Sample sample{image, {}};
         mixup(sample, {turned(image), {}}, 0.4);
         return sample.image;
       }},
      {"cutmix",
       [](const Image& image) {
         Sample sample{image, {}};
         const PixelRectangle part{5, 6, 41, 33};
         cutmix(sample, {turned(image), {}}, std::span(&part, 1));
         return sample.image;
       }},
      {"copied objects",
       [](const Image& image) {
         Sample sample{image, shared(image).objects};
         copy_paste_mirrored(sample, 1);
         return sample.image;
       }},
      {"a detector's pipeline",
       [](const Image& image) {
         AugmentSettings settings;
         settings.mixup = settings.cutmix = settings.flipud = 0.5;
         settings.hsv = {0, 0, 0};
         SampleSource source;
         source.load = [&](size_t) { return shared(image); };
         source.partner = [](Random&) { return size_t{0}; };
         return augment(settings, {1, 2, 3}, 0, {64, 64}, source).sample.image;
       }},
      {"a classifier's pipeline",
       [](const Image& image) {
         ClassificationAugment settings;
         settings.policy = AugmentPolicy::kNone;
         settings.erasing = 1;
         return augment_for_classifier(image, settings, {1, 2, 3}, 40);
       }},
  };
  return all;
}

Image grey_image() {
  return image::to_grey(image::draw_scene(70, 50, 5));
}

Image channel_of(const Image& image, int channel) {
  Image result(image.width(), image.height(), 0, {1, image.bits()});
  image::with_sample_type(image.bits(), [&]<class T>(T) {
    for (int y = 0; y < image.height(); ++y)
      for (int x = 0; x < image.width(); ++x)
        result.samples<T>(y)[x] = image.samples<T>(y)[x * image.channels() + channel];
  });
  return result;
}

TEST(Channels, AreEachChangedAsOneAloneIs) {
  for (const int bits : {8, 16}) {
    const Image grey = bits == 8 ? grey_image() : image::widen(grey_image());
    for (const Change& change : changes()) {
      const Image wanted = change.make(grey);
      for (const int channels : {3, 5}) {
        const Image result = change.make(image::repeat_channel(grey, channels));
        ASSERT_EQ(result.format(), (SampleFormat{channels, bits})) << change.name;
        for (int c = 0; c < channels; ++c)
          EXPECT_EQ(channel_of(result, c), wanted) << change.name << ": " << bits << " bits, " << c;
      }
    }
  }
}

TEST(Channels, AreNotMixedUp) {
  const Image drawn = image::draw_scene(70, 50, 6);
  const Image bands = image::stand_in(drawn, {4, 8});
  for (const Change& change : changes()) {
    const Image colour = change.make(drawn), result = change.make(bands);
    for (int c = 0; c < 4; ++c) EXPECT_EQ(channel_of(result, c), channel_of(colour, c % 3)) << change.name;
  }
}

TEST(Channels, Of16BitsChangeAsThoseOf8) {
  const Image drawn = image::draw_scene(70, 50, 7);
  for (const Change& change : changes()) {
    const Image bytes = change.make(drawn), wide = change.make(image::widen(drawn));
    ASSERT_EQ(wide.width(), bytes.width()) << change.name;
    // Twice rounded to bytes where 16 bits are rounded finely: an antialiased resize, a warp and a mix after
    // each other.
    const double tolerance = std::string(change.name).find("pipeline") == std::string::npos ? 1.01 : 3;
    for (int y = 0; y < bytes.height(); ++y)
      for (int i = 0; i < 3 * bytes.width(); ++i)
        ASSERT_NEAR(wide.samples<uint16_t>(y)[i] / 257.0, bytes.row(y)[i], tolerance)
            << change.name << ' ' << i << ' ' << y;
  }
}

TEST(Channels, HaveColoursChangedOnlyWhereTheyAreThreeOf8Bits) {
  for (const SampleFormat& format : {SampleFormat{3, 16}, SampleFormat{1, 8}, SampleFormat{4, 8}}) {
    const Image before = image::stand_in(image::draw_scene(20, 20, 1), format);
    Image after = before;
    image::adjust_hsv(after, {0.1, 0.5, 0.5});
    for (int i = 0; i <= static_cast<int>(AugmentOperation::kInvert); ++i)
      if (const auto operation = static_cast<AugmentOperation>(i); operation > AugmentOperation::kRotate)
        apply_operation(after, operation, 0.5);
    EXPECT_EQ(after, before);
    apply_operation(after, AugmentOperation::kRotate, 0.5);
    EXPECT_NE(after, before);
  }
}

// Without changes of colour all that is left moves, and every channel alike.
TEST(Channels, AreMixedAsOneAloneIs) {
  for (const int bits : {8, 16}) {
    const Image grey = bits == 8 ? grey_image() : image::widen(grey_image());
    for (const AugmentPolicy policy :
         {AugmentPolicy::kRandAugment, AugmentPolicy::kAutoAugment, AugmentPolicy::kAugMix}) {
      bool changed = false;
      for (uint64_t seed = 0; seed < 20; ++seed) {
        const auto after = [&](Image image) {
          Random random(seed, "policy");
          apply_policy(image, policy, random);
          return image;
        };
        const Image wanted = after(grey), result = after(image::repeat_channel(grey, 5));
        changed |= !(wanted == grey);
        for (int c = 0; c < 5; ++c) EXPECT_EQ(channel_of(result, c), wanted) << bits << " bits, " << c;
      }
      EXPECT_TRUE(changed);
    }
  }
}

TEST(Channels, BecomePlanesInTheirOrder) {
  const SampleFormat formats[] = {{1, 8}, {3, 8}, {5, 8}, {1, 16}, {3, 16}, {5, 16}};
  for (const SampleFormat& format : formats) {
    Image picture(21, 3, 0, format);
    for (size_t i = 0; i < picture.byte_size(); ++i) picture.row(0)[i] = static_cast<uint8_t>(37 * i + i / 7);
    Tensor batch = batch_tensor(2, {21, 3}, format);
    write_planes(picture, false, batch, 1);
    for (int c = 0; c < format.channels; ++c)
      for (int y = 0; y < 3; ++y)
        for (int x = 0; x < 21; ++x) {
          const int stored = x * format.channels + (format.is_colour() ? 2 - c : c);
          const auto at = static_cast<size_t>(((format.channels + c) * 3 + y) * 21 + x);
          if (format.bits == 16)
            ASSERT_EQ(batch.values<int32_t>()[at], picture.samples<uint16_t>(y)[stored]);
          else
            ASSERT_EQ(batch.values<uint8_t>()[at], picture.row(y)[stored]);
        }
  }
}

TEST(Channels, BecomeTheNumbersOfANetworkAlike) {
  const Image drawn = image::draw_scene(40, 30, 9);
  const Letterbox geometry = letterbox_geometry({40, 30}, {32, 32});
  InputFormat format;
  std::vector<float> bytes(3 * 32 * 32), wide(3 * 32 * 32);
  image::fill_letterboxed(drawn, geometry, format, bytes.data());
  set_range(format, {});
  image::fill_letterboxed(image::widen(drawn), geometry, format, wide.data());
  for (size_t i = 0; i < bytes.size(); ++i) ASSERT_NEAR(bytes[i], wide[i], 1.01 / 255) << i;
  // Of four channels the first is the first.
  Image bands(1, 1, 0, {4, 16});
  for (int c = 0; c < 4; ++c) bands.samples<uint16_t>(0)[c] = static_cast<uint16_t>(1000 * (c + 1));
  std::vector<float> values(4);
  image::fill_network_input(bands.pixels(), format, values.data());
  for (size_t c = 0; c < 4; ++c) EXPECT_FLOAT_EQ(values[c], 1000.0f * static_cast<float>(c + 1) / 65535);
}

}  // namespace
}  // namespace marrow::loader
