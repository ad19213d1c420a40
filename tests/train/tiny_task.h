// A training run of a task that finds more than boxes, small enough for a test.
#pragma once

#include <string>

#include "marrow/base/task.h"
#include "train/tiny_run.h"

namespace marrow::testing {

class TinyTask : public TinyRun {
 public:
  explicit TinyTask(Task task) {
    data::SynthOptions synth;
    synth.images = 14;
    synth.val_share = 0.3;
    synth.image_size = 96;
    synth.objects = 3;
    synth.classes = {"disc", "square"};
    synth.task = task;
    data::write_synth_dataset(folder / "drawn", synth);
    const std::string head = task == Task::kSegment ? "Segment, [nc, 8, 64]"
                             : task == Task::kPose  ? "Pose, [nc, kpt_shape]"
                                                    : "OBB, [nc, 1]";
    std::string yaml = kTinyModel;
    const std::string detect = "Detect, [nc]";
    yaml.replace(yaml.find(detect), detect.size(), head);
    if (task == Task::kPose) yaml += "kpt_shape: [5, 3]\n";
    write_file_atomically(folder / "task.yaml", yaml);
  }

  train::TrainOptions options(const std::string& name) const {
    train::TrainOptions o = TinyRun::options(name);
    o.model = (folder / "task.yaml").string();
    o.data = (folder / "drawn" / "data.yaml").string();
    return o;
  }
};

}  // namespace marrow::testing
