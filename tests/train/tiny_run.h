// A training run small enough for a test: a drawn dataset, a network of 60 thousand parameters.
#pragma once

#include <string>

#include "marrow/data/tools/synth.h"
#include "train/tiny_project.h"

namespace marrow::testing {

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

class TinyRun : public TinyProject {
 public:
  TinyRun() {
    data::SynthOptions synth;
    synth.images = 14;
    synth.val_share = 0.3;
    synth.image_size = 96;
    synth.objects = 3;
    synth.classes = {"disc", "square"};
    data::write_synth_dataset(folder / "data", synth);
    write_file_atomically(folder / "tiny.yaml", kTinyModel);
  }

  // Ten images, three batches an epoch.
  train::TrainOptions options(const std::string& name) const {
    train::TrainOptions o = common_options(name);
    o.data = (folder / "data" / "data.yaml").string();
    o.imgsz = 64;
    o.close_mosaic = 1;
    return o;
  }
};

}  // namespace marrow::testing
