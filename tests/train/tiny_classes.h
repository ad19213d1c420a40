// A classification run small enough for a test: images of three colours, a network of 30 thousand
// parameters.
#pragma once

#include <filesystem>
#include <string>

#include "marrow/base/random.h"
#include "marrow/image/encode.h"
#include "train/tiny_project.h"

namespace marrow::testing {

inline constexpr const char* kTinyClassifier = R"(
nc: 3
scales: {t: [0.33, 0.0625, 256]}
backbone:
  - [-1, 1, Conv, [64, 3, 2]]
  - [-1, 1, Conv, [128, 3, 2]]
  - [-1, 3, C2f, [128, True]]
head:
  - [-1, 1, Classify, [nc]]
)";

inline constexpr const char* kTinyVanillaNet = R"(
classifier: vanillanet
settings: {dims: [16, 16, 32, 32], strides: [2, 2, 2]}
)";

class TinyClasses : public TinyProject {
 public:
  TinyClasses() {
    for (const char* split : {"train", "val"})
      for (int c = 0; c < 3; ++c)
        for (int i = 0; i < (split[0] == 't' ? 4 : 3); ++i) write_picture(split, c, i);
    write_file_atomically(folder / "tiny.yaml", kTinyClassifier);
    write_file_atomically(folder / "vanilla.yaml", kTinyVanillaNet);
  }

  // Twelve images, three batches an epoch.
  train::TrainOptions options(const std::string& name) const {
    train::TrainOptions o = common_options(name);
    o.data = (folder / "data").string();
    o.imgsz = 32;
    return o;
  }

 private:
  // Noise in which one channel is brighter.
  void write_picture(const std::string& split, int c, int i) const {
    static constexpr const char* kNames[] = {"blue", "green", "red"};
    const auto place = folder / "data" / split / kNames[c];
    std::filesystem::create_directories(place);
    image::Image image(40 + 3 * i, 36);
    Random random(static_cast<uint64_t>(i + 10 * c + (split == "val" ? 100 : 0)), "picture");
    for (int y = 0; y < image.height(); ++y)
      for (int x = 0; x < image.width() * 3; ++x)
        image.row(y)[x] = static_cast<uint8_t>(random.below(120) + (x % 3 == c ? 120 : 0));
    image::write_image(place / (std::to_string(i) + ".png"), image.pixels());
  }
};

}  // namespace marrow::testing
