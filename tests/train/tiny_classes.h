// A classification run small enough for a test: pictures of three colours, a network of 30 thousand parameters.
#pragma once

#include <filesystem>
#include <string>

#include "base/files.h"
#include "base/random.h"
#include "image/encode.h"
#include "recipe/train_options.h"
#include "support/temporary_folder.h"

namespace marrow::test {

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

class TinyClasses {
 public:
  TinyClasses() {
    for (const char* split : {"train", "val"})
      for (int c = 0; c < 3; ++c)
        for (int i = 0; i < (split[0] == 't' ? 4 : 3); ++i) write_picture(split, c, i);
    write_file_atomically(folder / "tiny.yaml", kTinyClassifier);
    write_file_atomically(folder / "vanilla.yaml", kTinyVanillaNet);
  }

  // Twelve images, three batches an epoch, four batches a step: epochs end with gradients pending.
  TrainOptions options(const std::string& name) const {
    TrainOptions o;
    o.model = (folder / "tiny.yaml").string();
    o.data = (folder / "data").string();
    o.project = (folder / "runs").string();
    o.name = name;
    o.epochs = 4;
    o.batch = 4;
    o.nbs = 16;
    o.imgsz = 32;
    o.workers = 1;
    o.optimizer = "SGD";
    o.warmup_epochs = 0;
    o.threads = 1;
    o.plots = false;  // they take longer than such a run
    return o;
  }
  std::filesystem::path run(const std::string& name) const { return folder / "runs" / name; }
  std::filesystem::path weights(const std::string& name, const std::string& file) const {
    return run(name) / "weights" / (file + ".safetensors");
  }
  std::string bytes(const std::string& name, const std::string& file) const {
    return read_file(weights(name, file), 100 << 20);
  }

  testing::TemporaryFolder folder;

 private:
  // Noise in which one channel is brighter.
  void write_picture(const std::string& split, int c, int i) const {
    static constexpr const char* kNames[] = {"blue", "green", "red"};
    const auto place = folder / "data" / split / kNames[c];
    std::filesystem::create_directories(place);
    Image image(40 + 3 * i, 36);
    Random random(static_cast<uint64_t>(i + 10 * c + (split == "val" ? 100 : 0)), "picture");
    for (int y = 0; y < image.height(); ++y)
      for (int x = 0; x < image.width() * Image::kChannels; ++x)
        image.row(y)[x] = static_cast<uint8_t>(random.below(120) + (x % Image::kChannels == c ? 120 : 0));
    write_image(place / (std::to_string(i) + ".png"), image.pixels());
  }
};

}  // namespace marrow::test
