// Files in which people say what they want: YAML.
#include "fuzz/readers.h"
#include "marrow/data/dataset.h"
#include "marrow/model/configs.h"
#include "marrow/model/model.h"
#include "marrow/model/spec.h"
#include "marrow/track/tracker_settings.h"

namespace marrow::fuzz {
namespace {

// Of a model that may be large the reading says enough; its tensors are not made.
constexpr size_t kLongestYaml = 1 << 16;

}  // namespace

void read_model_yaml(Bytes bytes) {
  if (bytes.size() > kLongestYaml) return;
  const model::ModelSpec spec = model::parse_model_spec(text_of(bytes), "model.yaml");
  model::build_model(spec, {});
}

Seeds model_yaml_seeds() {
  Seeds seeds;
  for (const model::EmbeddedText& config : model::embedded_configs()) seeds.emplace_back(config.text);
  return seeds;
}

// In an empty folder, so that relative paths lead nowhere.
void read_dataset_yaml(Bytes bytes) {
  if (bytes.size() > kLongestYaml) return;
  const InputFile file(bytes);
  data::read_dataset(file.path());
}

Seeds dataset_yaml_seeds() {
  return {
      "path: .\ntrain: images/train\nval: [images/val, more.txt]\nnames: {0: cat, 1: dog, 2: ignore}\n",
      "path: ../x\ntrain: a\nval: b\ntest: c\nnc: 2\nnames: [cat, dog]\nkpt_shape: [4, 3]\nflip_idx: [1, 0, "
      "3, 2]\n",
      "train: train.json\nval: val.json\nnames:\n- cat\nchannels: 4\nkpt_shape: [2, 2]\nkpt_names:\n  0: [a, "
      "b]\n",
      "train: &a x\nval: *a\nnc: 1\nnames: {0: x}\ndownload: https://example.com/a.zip\n",
  };
}

void read_tracker_yaml(Bytes bytes) {
  track::parse_tracker_settings(std::string(text_of(bytes)), "tracker.yaml");
}

Seeds tracker_yaml_seeds() {
  return {
      "tracker_type: bytetrack\ntrack_high_thresh: 0.25\ntrack_low_thresh: 0.1\nnew_track_thresh: 0.25\n"
      "track_buffer: 30\nmatch_thresh: 0.8\nfuse_score: True\n",
      "tracker_type: botsort\ngmc_method: sparseOptFlow\nproximity_thresh: 0.5\nappearance_thresh: 0.8\n"
      "with_reid: False\nmodel: auto\n",
  };
}

}  // namespace marrow::fuzz
