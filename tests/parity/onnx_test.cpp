// ONNX files that the reference exporter made, against the numbers it recorded: every NAME.onnx of the golden
// folder with a NAME_onnx_io.safetensors beside it, which holds the inputs and outputs by name.
#include <gtest/gtest.h>

#include <algorithm>

#include "marrow/base/files.h"
#include "marrow/graph/passes/deploy.h"
#include "marrow/model/import.h"
#include "marrow/model/onnx_model.h"
#include "marrow/model/python_names.h"
#include "marrow/onnx/file/proto.h"
#include "marrow/onnx/write/export.h"
#include "marrow/weights/safetensors.h"
#include "support/executors.h"
#include "support/golden.h"
#include "support/largest_difference.h"
#include "support/temporary_folder.h"

namespace marrow {
namespace {

namespace fs = std::filesystem;

struct OnnxCase {
  fs::path model;
  Weights io;
};

std::vector<OnnxCase> onnx_cases() {
  std::vector<OnnxCase> found;
  for (const fs::path& path : testing::golden_files("yolov8", {".onnx"})) {
    const fs::path io = path.parent_path() / (path.stem().string() + "_onnx_io.safetensors");
    if (fs::exists(io)) found.push_back({path, weights::read_safetensors(io).tensors});
  }
  return found;
}

constexpr double kOnnxTolerance = 1e-4;  // as golden/yolov8/README.md gives it

onnx::ModelProto read_onnx(const fs::path& path) {
  const MappedFile file(path);
  return onnx::parse_model(file.bytes(), path.string());
}

TEST(parity_Onnx, ReferenceExportsComputeWhatWasRecorded) {
  const auto found = onnx_cases();
  MARROW_NEEDS_GOLDEN(found, "a .onnx with an _onnx_io.safetensors below yolov8");
  for (const OnnxCase& c : found) {
    SCOPED_TRACE(c.model.string());
    const model::TrainedModel trained = model::read_onnx_model(c.model);
    const onnx::ModelProto file = read_onnx(c.model);
    const Tensor& input = c.io.at(file.graph.inputs.at(0).name);
    const Tensor& wanted = c.io.at(file.graph.outputs.at(0).name);
    for (const auto& run : testing::run_everywhere(trained.model.graph, trained.weights, input,
                                                   {trained.model.graph.outputs.at(0).name}))
      EXPECT_LE(testing::largest_difference(run.values.at(0), wanted), kOnnxTolerance) << run.executor;
    // Every command that writes a checkpoint can store it.
    const testing::TemporaryFolder folder;
    model::save_checkpoint(folder / "stored.safetensors", trained.model, trained.weights);
    const model::TrainedModel stored = model::load_trained(folder / "stored.safetensors");
    for (const auto& run : testing::run_everywhere(stored.model.graph, stored.weights, input,
                                                   {stored.model.graph.outputs.at(0).name}))
      EXPECT_LE(testing::largest_difference(run.values.at(0), wanted), kOnnxTolerance) << run.executor;
    EXPECT_EQ(trained.model.task, *file.find_metadata("task"));
    EXPECT_EQ(trained.model.names, model::parse_python_names(*file.find_metadata("names")));
    EXPECT_EQ(std::to_string(trained.model.largest_stride), *file.find_metadata("stride"));
  }
}

TEST(parity_Onnx, OurExportHasTheReferencesNamesAndShapes) {
  const auto found = onnx_cases();
  MARROW_NEEDS_GOLDEN(found, "a .onnx with an _onnx_io.safetensors below yolov8");
  for (const OnnxCase& c : found) {
    SCOPED_TRACE(c.model.string());
    const onnx::ModelProto theirs = read_onnx(c.model);
    const model::TrainedModel trained = model::read_onnx_model(c.model);
    const auto& shape = theirs.graph.inputs.at(0).shape;
    onnx::ExportOptions options{.height = static_cast<int>(shape.at(2).value),
                                .width = static_cast<int>(shape.at(3).value)};
    options.metadata = model::onnx_metadata(trained.model, "test", options);
    const testing::TemporaryFolder folder;
    onnx::write_model(folder / "ours.onnx",
                      onnx::export_model({trained.model.graph, trained.weights}, options));
    const onnx::ModelProto ours = read_onnx(folder / "ours.onnx");
    const auto describe = [](const std::vector<onnx::ValueInfo>& values) {
      std::string text;
      for (const onnx::ValueInfo& value : values) {
        text += value.name;
        for (const onnx::Dimension& dimension : value.shape) text += " " + std::to_string(dimension.value);
      }
      return text;
    };
    EXPECT_EQ(describe(ours.graph.inputs), describe(theirs.graph.inputs));
    EXPECT_EQ(describe(ours.graph.outputs), describe(theirs.graph.outputs));
    for (const char* key : {"names", "stride", "task", "imgsz", "batch", "channels"}) {
      ASSERT_NE(ours.find_metadata(key), nullptr) << key;
      EXPECT_EQ(*ours.find_metadata(key), *theirs.find_metadata(key)) << key;
    }
    for (const onnx::TensorProto& tensor : theirs.graph.initializers) {
      const auto same = std::ranges::find(ours.graph.initializers, tensor.name, &onnx::TensorProto::name);
      // Names with "::" are the exporter's own, of tensors that it computed.
      const bool made_up = tensor.name.find("::") != std::string::npos;
      EXPECT_TRUE(made_up || same != ours.graph.initializers.end()) << tensor.name;
    }
  }
}

}  // namespace
}  // namespace marrow
