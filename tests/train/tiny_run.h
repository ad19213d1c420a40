// A training run small enough for a test: a drawn dataset, a network of 60 thousand parameters.
#pragma once

#include <filesystem>
#include <string>

#include "base/files.h"
#include "data/synth.h"
#include "recipe/train_options.h"
#include "support/temporary_folder.h"

namespace marrow::test {

inline constexpr const char* kTinyModel = R"(
nc: 2
scales: {t: [0.33, 0.03125, 256]}
backbone:
  - [-1, 1, Conv, [64, 3, 2]]
  - [-1, 1, Conv, [128, 3, 2]]
  - [-1, 3, C2f, [128, True]]
  - [-1, 1, Conv, [256, 3, 2]]
  - [-1, 3, C2f, [256, True]]
  - [-1, 1, Conv, [512, 3, 2]]
  - [-1, 1, Conv, [512, 3, 2]]
  - [-1, 1, SPPF, [512, 5]]
head:
  - [[4, 5, 7], 1, Detect, [nc]]
)";

class TinyRun {
 public:
  TinyRun() {
    SynthOptions synth;
    synth.images = 14;
    synth.val_share = 0.3;
    synth.image_size = 96;
    synth.objects = 3;
    synth.classes = {"disc", "square"};
    write_synth_dataset(folder / "data", synth);
    write_file_atomically(folder / "tiny.yaml", kTinyModel);
  }

  // Ten images, three batches an epoch; two batches a step once warm, so that epochs end with gradients pending.
  TrainOptions options(const std::string& name) const {
    TrainOptions o;
    o.model = (folder / "tiny.yaml").string();
    o.data = (folder / "data" / "data.yaml").string();
    o.project = (folder / "runs").string();
    o.name = name;
    o.epochs = 4;
    o.batch = 4;
    o.nbs = 16;
    o.imgsz = 64;
    o.workers = 1;
    o.optimizer = "SGD";
    o.warmup_epochs = 0;
    o.close_mosaic = 1;
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
};

}  // namespace marrow::test
