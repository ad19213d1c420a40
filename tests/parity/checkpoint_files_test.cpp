// Every checkpoint beside the golden tables reads; files that hold one network hold the same tensors; and the
// model objects say about themselves what the tables say.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>

#include "marrow/weights/checkpoint_file.h"
#include "marrow/weights/safetensors.h"
#include "support/golden.h"
#include "support/read_json.h"

namespace marrow {
namespace {

namespace fs = std::filesystem;
using testing::golden_files;
using testing::weights_folder;

const std::vector<std::string> kCheckpoints = {".pt", ".pth", ".tar", ".pdparams"};

std::vector<fs::path> golden_checkpoints() {
  std::vector<fs::path> found;
  for (const char* part : {"backbones", "yolov8"})
    std::ranges::copy(golden_files(part, kCheckpoints), std::back_inserter(found));
  return found;
}

std::vector<fs::path> published_checkpoints() {
  return testing::files_below(weights_folder(), kCheckpoints);
}

// The file beside `path` whose name is its stem with another ending.
fs::path sibling(const fs::path& path, const std::string& ending) {
  return path.parent_path() / (path.stem().string() + ending);
}

bool is_counter(const std::string& name) {
  return name.ends_with("num_batches_tracked");
}

// Paddle has no num_batches_tracked.
size_t count_without_counters(const Weights& weights) {
  return static_cast<size_t>(
      std::ranges::count_if(weights, [](const auto& named) { return !is_counter(named.first); }));
}

// The nearest float16 value, ties to even.
float rounded_to_half(float value) {
  if (value == 0) return value;
  const int exponent = std::max(std::ilogb(value), -14);
  const float step = std::ldexp(1.0f, exponent - 10);
  return std::nearbyint(value / step) * step;
}

Tensor rounded_to_half(const Tensor& tensor) {
  Tensor rounded = tensor.to_float().clone();
  for (float& value : rounded.values()) value = rounded_to_half(value);
  return rounded;
}

TEST(parity_checkpoint_files, EveryCheckpointReads) {
  std::vector<fs::path> paths = golden_checkpoints();
  MARROW_NEEDS_GOLDEN(paths, "a checkpoint");
  std::ranges::copy(published_checkpoints(), std::back_inserter(paths));
  for (const fs::path& path : paths) {
    SCOPED_TRACE(path.string());
    const weights::Checkpoint checkpoint = weights::read_checkpoint(path);
    EXPECT_FALSE(checkpoint.state.empty());
    for (const auto& [name, tensor] : checkpoint.state) {
      EXPECT_FALSE(name.starts_with("module.")) << name;
      EXPECT_EQ(tensor.dtype(), is_counter(name) ? DType::kInt64 : DType::kFloat32) << name;
      const Tensor values = tensor.to_float();
      for (const float value : values.values()) ASSERT_TRUE(std::isfinite(value)) << name;
    }
  }
}

// A Paddle file (protocol 2 or 4) beside a torch file of the same network.
TEST(parity_checkpoint_files, PaddleAndTorchFilesHoldTheSameTensors) {
  const auto paths = golden_files("backbones", {".pdparams"});
  MARROW_NEEDS_GOLDEN(paths, "a .pdparams below backbones");
  size_t compared = 0;
  for (const fs::path& path : paths) {
    SCOPED_TRACE(path.string());
    std::string stem = path.stem().string();
    if (stem.ends_with("_p2")) stem.resize(stem.size() - 3);
    const fs::path torch_path = path.parent_path() / (stem + ".pth");
    if (!fs::exists(torch_path)) continue;
    const weights::Checkpoint paddle = weights::read_checkpoint(path);
    const weights::Checkpoint torch = weights::read_checkpoint(torch_path);
    EXPECT_EQ(paddle.kind, weights::CheckpointKind::kPickle);
    EXPECT_EQ(paddle.state.size(), count_without_counters(torch.state));
    for (const auto& [name, tensor] : paddle.state) {
      ASSERT_TRUE(torch.state.contains(name)) << name;
      EXPECT_EQ(relative_difference(tensor, torch.state.at(name)), 0) << name;
    }
    ++compared;
  }
  EXPECT_GT(compared, 0u);
}

// `x.pt` beside `x_state_dict.safetensors` or `x_ema_state_dict.safetensors`: the model object gives exactly
// that state dict, once both are rounded to the checkpoint's float16.
TEST(parity_checkpoint_files, PickledModelsGiveTheirStateDict) {
  const auto paths = golden_files("yolov8", {".pt"});
  MARROW_NEEDS_GOLDEN(paths, "a .pt below yolov8");
  size_t compared = 0;
  for (const fs::path& path : paths) {
    for (const std::string ending : {"_state_dict.safetensors", "_ema_state_dict.safetensors"}) {
      if (!fs::exists(sibling(path, ending))) continue;
      SCOPED_TRACE(path.string());
      const Weights expected = weights::read_safetensors(sibling(path, ending)).tensors;
      const Weights found = weights::read_checkpoint(path).state;
      EXPECT_EQ(found.size(), expected.size());
      for (const auto& [name, tensor] : expected) {
        ASSERT_TRUE(found.contains(name)) << name;
        const Tensor wanted = is_counter(name) ? tensor : rounded_to_half(tensor);
        EXPECT_EQ(relative_difference(found.at(name), wanted), 0) << name;
      }
      ++compared;
    }
  }
  EXPECT_GT(compared, 0u);
}

// Tables beside a checkpoint: x.json or x_meta.json.
TEST(parity_checkpoint_files, PickledModelsKnowTheirAttributes) {
  const auto paths = golden_files("yolov8", {".pt"});
  MARROW_NEEDS_GOLDEN(paths, "a .pt below yolov8");
  size_t compared = 0;
  for (const fs::path& path : paths) {
    const fs::path table_path =
        fs::exists(sibling(path, "_meta.json")) ? sibling(path, "_meta.json") : sibling(path, ".json");
    if (!fs::exists(table_path)) continue;
    SCOPED_TRACE(path.string());
    const nlohmann::json table = testing::read_json(table_path);
    const weights::Checkpoint checkpoint = weights::read_checkpoint(path);
    ASSERT_TRUE(checkpoint.model.has_value());
    const weights::ModelAttributes& model = *checkpoint.model;
    EXPECT_EQ(model.class_name, "DetectionModel");
    EXPECT_EQ(model.task, "detect");
    if (table.contains("yaml")) {
      EXPECT_EQ(nlohmann::json::parse(model.yaml), table["yaml"]);
    }
    if (table.contains("names")) {
      std::map<int64_t, std::string> names;
      for (const auto& [index, name] : table["names"].items())
        names[std::stoll(index)] = name.get<std::string>();
      EXPECT_EQ(model.names, names);
      EXPECT_EQ(model.nc, static_cast<int64_t>(names.size()));
    }
    if (table.contains("stride")) {
      EXPECT_EQ(model.stride, table["stride"].get<std::vector<double>>());
    }
    if (table.contains("epoch")) {
      EXPECT_EQ(checkpoint.metadata.at("epoch"), std::to_string(table["epoch"].get<int>()));
    }
    if (table.contains("num_state_dict_tensors")) {
      EXPECT_EQ(checkpoint.state.size(), table["num_state_dict_tensors"].get<size_t>());
    }
    if (table.contains("bn_eps")) {
      EXPECT_FALSE(model.batch_norms.empty());
      for (const auto& [name, settings] : model.batch_norms) {
        EXPECT_TRUE(checkpoint.state.contains(name + ".running_mean")) << name;
        EXPECT_EQ(settings.eps, table["bn_eps"].get<double>()) << name;
        EXPECT_EQ(settings.momentum, table["bn_momentum"].get<double>()) << name;
      }
    }
    ++compared;
  }
  EXPECT_GT(compared, 0u);
}

// A file with several candidates: each can be named, `model_ema` is the default, and they differ.
TEST(parity_checkpoint_files, TheUserCanNameTheEntry) {
  const auto paths = golden_checkpoints();
  MARROW_NEEDS_GOLDEN(paths, "a checkpoint");
  size_t compared = 0;
  for (const fs::path& path : paths) {
    const weights::Checkpoint standard = weights::read_checkpoint(path);
    if (standard.key != "model_ema") continue;
    SCOPED_TRACE(path.string());
    const weights::Checkpoint model = weights::read_checkpoint(path, {"model"});
    EXPECT_EQ(model.key, "model");
    EXPECT_EQ(model.state.size(), standard.state.size());
    double difference = 0;
    for (const auto& [name, tensor] : model.state)
      difference = std::max(difference, relative_difference(tensor, standard.state.at(name)));
    EXPECT_GT(difference, 0);
    ++compared;
  }
  EXPECT_GT(compared, 0u);
}

// Published weights: a model object whose parts agree with each other and with the table of models.
TEST(parity_checkpoint_files, PublishedModelsAreWhole) {
  const auto paths = published_checkpoints();
  if (paths.empty()) GTEST_SKIP() << "no checkpoint in " << weights_folder();
  const auto tables = golden_files("yolov8/models", {"summary.json"});
  MARROW_NEEDS_GOLDEN(tables, "yolov8/models/summary.json");
  const nlohmann::json table = testing::read_json(tables.front());
  int compared = 0;
  for (const fs::path& path : paths) {
    SCOPED_TRACE(path.string());
    const weights::Checkpoint checkpoint = weights::read_checkpoint(path);
    ASSERT_TRUE(checkpoint.model.has_value());
    EXPECT_EQ(checkpoint.model->nc, static_cast<int64_t>(checkpoint.model->names.size()));
    for (const nlohmann::json& row : table) {
      if (row["file"] != path.stem().string() + ".yaml" || row["nc"] != *checkpoint.model->nc) continue;
      EXPECT_EQ(checkpoint.state.size(), row["state_dict_tensors"].get<size_t>());
      EXPECT_EQ(checkpoint.model->class_name, row["task"].get<std::string>());
      EXPECT_EQ(checkpoint.model->stride, row["strides"].get<std::vector<double>>());
      ++compared;
    }
  }
  EXPECT_GT(compared, 0) << "none of the checkpoints is in the table";
}

// Our own files give back what was put in, byte for byte the same on a second writing.
TEST(parity_checkpoint_files, SafetensorsOfTheTablesSurviveARoundTrip) {
  std::vector<fs::path> paths = golden_files("backbones", {".safetensors"});
  std::ranges::copy(golden_files("yolov8", {".safetensors"}), std::back_inserter(paths));
  MARROW_NEEDS_GOLDEN(paths, "a .safetensors");
  const fs::path copy = fs::temp_directory_path() / ("marrow_round_trip_" + std::to_string(::getpid()));
  for (const fs::path& path : paths) {
    SCOPED_TRACE(path.string());
    const weights::SafetensorsFile original = weights::read_safetensors(path);
    weights::write_safetensors(copy, original.tensors, original.metadata);
    const weights::SafetensorsFile again = weights::read_safetensors(copy);
    EXPECT_EQ(again.metadata, original.metadata);
    ASSERT_EQ(again.tensors.size(), original.tensors.size());
    for (const auto& [name, tensor] : original.tensors) {
      const Tensor& other = again.tensors.at(name);
      ASSERT_EQ(other.dtype(), tensor.dtype()) << name;
      ASSERT_EQ(other.shape(), tensor.shape()) << name;
      EXPECT_EQ(std::memcmp(other.bytes(), tensor.bytes(), tensor.byte_size()), 0) << name;
    }
  }
  fs::remove(copy);
}

}  // namespace
}  // namespace marrow
