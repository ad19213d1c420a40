// Weights and graphs: what other programs, and we, keep networks in.
#include "fuzz/readers.h"
#include "fuzz/small_model.h"
#include "marrow/cpu/thread_pool.h"
#include "marrow/engine/compile/tuner.h"
#include "marrow/graph/graph.h"
#include "marrow/graph/passes/deploy.h"
#include "marrow/model/checkpoint.h"
#include "marrow/model/deployed.h"
#include "marrow/model/import.h"
#include "marrow/model/onnx_model.h"
#include "marrow/model/spec.h"
#include "marrow/onnx/file/proto.h"
#include "marrow/onnx/write/export.h"
#include "marrow/weights/checkpoint_file.h"
#include "marrow/weights/safetensors.h"
#include "marrow/weights/torch/torch_writer.h"
#include "weights/pickle_writer.h"

namespace marrow::fuzz {
namespace {

// As deployed, its second layer computing with bytes.
model::TrainedModel small_int8_model() {
  const model::TrainedModel small = small_model();
  passes::GraphWithWeights deployed = passes::deploy({small.model.graph, small.weights});
  int convolutions = 0;
  for (Node& node : deployed.graph.nodes) {
    if (!std::holds_alternative<Conv>(node.operation)) continue;
    node.byte_scale = ByteScale{0.02f, 7};
    node.int8 = ++convolutions == 2;
  }
  return {model::with_graph(small.model, std::move(deployed.graph)), std::move(deployed.weights)};
}

}  // namespace

model::TrainedModel small_model() {
  const model::ModelSpec spec = model::parse_model_spec(
      "nc: 2\nnames: [cat, dog]\nbackbone: [[-1, 1, Conv, [4, 3, 8]], [-1, 1, Conv, [4, 3, 2]]]\nhead: [[[0, "
      "1], 1, Detect, [nc, 2]]]\n",
      "small.yaml");
  model::Model model = model::build_model(spec, {});
  Weights weights = initialize(model.graph, 1);
  return {std::move(model), std::move(weights)};
}

void read_safetensors_file(Bytes bytes) {
  const InputFile file(bytes);
  weights::read_safetensors(file.path());
}

Seeds safetensors_seeds() {
  const Weights tensors = {{"a", Tensor({2, 3})}, {"b", Tensor({1}, DType::kInt64)}, {"c", Tensor(Shape{})}};
  return {written([&](const std::string& path) {
    weights::write_safetensors(path, tensors, {{"key", "value"}});
  })};
}

void read_pickle(Bytes bytes) {
  const InputFile file(bytes);
  weights::read_checkpoint(file.path());
}

Seeds pickle_seeds() {
  const Weights tensors = {{"conv.weight", Tensor({2, 3})}, {"conv.bias", Tensor({2})}};
  Seeds seeds = {written([&](const std::string& path) { weights::write_torch_state_dict(path, tensors); })};
  // Paddle's: a bare pickle of numpy arrays.
  using namespace std::string_view_literals;
  testing::PickleWriter paddle;
  paddle.proto(3)
      .raw("}"sv)
      .text("w")
      .global("numpy.core.multiarray", "_reconstruct")
      .global("numpy", "ndarray");
  paddle.raw("K\0\x85\x43\1b\x87R(K\1K\1\x85"sv)
      .global("numpy", "dtype")
      .text("f4")
      .raw("\x89\x88\x87R(K\3"sv);
  paddle.text("<").raw("NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89\x43\4\1\1\1\1tbs"sv);
  seeds.push_back(paddle.stop());
  testing::PickleWriter dict;
  dict.proto().raw("}").text("w").tensor("0", 4, 0, {2, 2}, {2, 1}).raw("s");
  seeds.push_back(testing::legacy_file(dict.stop(), {{"0", 4, testing::floats({1, 2, 3, 4})}}));
  return seeds;
}

// What stands in an archive, whose checksum would else keep all others out.
void read_torch_pickle(Bytes bytes) {
  const std::string archive = testing::torch_archive(
      std::string(text_of(bytes)), {testing::floats({1, 2, 3, 4, 5, 6}), testing::floats({1, 2})});
  const InputFile file(std::as_bytes(std::span(archive)));
  weights::read_checkpoint(file.path());
}

Seeds torch_pickle_seeds() {
  testing::PickleWriter state, model, numpy;
  state.proto().raw("}(").text("model.0.conv.weight").tensor("0", 6, 0, {2, 3}, {3, 1});
  state.text("model.0.bn.bias").tensor("1", 2, 0, {2}, {1}).raw("u");
  // As checkpoints hold a whole network: objects in objects.
  model.proto().raw("}").text("model").global("ultralytics.nn.tasks", "DetectionModel").raw(")\x81}(");
  model.text("names").raw("}").integer(0).text("cat").raw("s");
  model.text("yaml").raw("}").text("nc").integer(1).raw("s");
  model.text("_parameters").raw("}").text("_modules").raw("}").text("0");
  model.global("torch.nn.modules.conv", "Conv2d").raw(")\x81}(").text("_modules").raw("}");
  model.text("_parameters").raw("}").text("weight").tensor("0", 6, 1, {2}, {2}).raw("subsubs");
  numpy.proto(4).raw("}").text("a");
  testing::numpy_array(numpy, {2}, "f4", testing::floats({1, 2})).raw("s");
  return {state.stop(), model.stop(), numpy.stop()};
}

void read_model_checkpoint(Bytes bytes) {
  if (bytes.size() > kLongestNetwork) return;
  const InputFile file(bytes);
  model::load_trained(file.path());
}

Seeds checkpoint_seeds() {
  Seeds seeds;
  model::TrainedModel small = small_model();
  small.model.thresholds = {0.25, 0.5};
  small.model.tiles = {48, 0.5};
  for (const model::TrainedModel& trained : {small, small_int8_model()})
    seeds.push_back(written(
        [&](const std::string& path) { model::save_checkpoint(path, trained.model, trained.weights); }));
  return seeds;
}

void read_onnx(Bytes bytes) {
  if (bytes.size() > kLongestNetwork) return;
  const InputFile file(bytes);
  model::read_onnx_model(file.path());
}

Seeds onnx_seeds() {
  const model::TrainedModel small = small_model();
  onnx::ExportOptions options;
  options.height = options.width = 32;
  options.metadata = model::onnx_metadata(small.model, "small", options);
  const onnx::ModelProto proto = onnx::export_model({small.model.graph, small.weights}, options);
  return {written([&](const std::string& path) { onnx::write_model(path, proto); })};
}

void read_tuner_cache(Bytes bytes) {
  static cpu::ThreadPool pool(1);
  const InputFile file(bytes);
  engine::Tuner(true, file.path(), pool);
}

Seeds tuner_cache_seeds() {
  return {"machine\tlayer 3x3 64 64\twinograd\nmachine\tlayer\tpointwise\nno tabs\n"};
}

}  // namespace marrow::fuzz
