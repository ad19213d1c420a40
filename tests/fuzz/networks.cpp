// Weights and graphs: what other programs, and we, keep networks in.
#include "fuzz/readers.h"
#include "marrow/cpu/thread_pool.h"
#include "marrow/engine/compile/tuner.h"
#include "marrow/graph/graph.h"
#include "marrow/model/checkpoint.h"
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

constexpr size_t kLongestNetwork = 1 << 20;

// A few kilobytes with everything in it.
model::TrainedModel small_model() {
  const model::ModelSpec spec = model::parse_model_spec(
      "nc: 2\nnames: [cat, dog]\nbackbone: [[-1, 1, Conv, [4, 3, 8]], [-1, 1, Conv, [4, 3, 2]]]\nhead: [[[0, "
      "1], 1, Detect, [nc]]]\n",
      "small.yaml");
  model::Model model = model::build_model(spec, {});
  Weights weights = initialize(model.graph, 1);
  return {std::move(model), std::move(weights)};
}

}  // namespace

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
  return seeds;
}

void read_model_checkpoint(Bytes bytes) {
  if (bytes.size() > kLongestNetwork) return;
  const InputFile file(bytes);
  model::load_trained(file.path());
}

Seeds checkpoint_seeds() {
  const model::TrainedModel small = small_model();
  return {
      written([&](const std::string& path) { model::save_checkpoint(path, small.model, small.weights); })};
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
