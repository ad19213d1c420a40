// Makes the golden set of the tree: tests/golden/README.md.
#include <cstdio>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/weights/safetensors.h"
#include "record.h"

namespace marrow::golden {

Tensor noise(const Shape& shape, const std::string& name) {
  Tensor tensor(shape);
  Draws draws(name);
  for (float& value : tensor.values()) value = static_cast<float>(draws.bell());
  return tensor;
}

Weights random_weights(const Graph& graph, const std::string& name) {
  Weights weights;
  for (const Parameter& parameter : graph.parameters) {
    Tensor tensor(parameter.shape, parameter.dtype());
    Draws draws(name + "/" + parameter.name);
    const double fan_in =
        static_cast<double>(tensor.size()) /
        static_cast<double>(std::max<int64_t>(1, tensor.shape().empty() ? 1 : tensor.dim(0)));
    if (parameter.role != ParameterRole::kCounter)
      for (size_t i = 0; i < tensor.values().size(); ++i) {
        float& value = tensor.values()[i];
        switch (parameter.role) {
          case ParameterRole::kWeight:
            value = static_cast<float>(draws.bell() * std::sqrt(1.6 / fan_in));
            break;
          case ParameterRole::kNormWeight:
            value = static_cast<float>(draws.uniform(0.6, 1.4));
            break;
          case ParameterRole::kRunningMean:
          case ParameterRole::kFixed:
            break;
          case ParameterRole::kRunningVar:
          case ParameterRole::kScalar:
            value = 1;
            break;
          case ParameterRole::kConstant:
            value = static_cast<float>(i);  // the bins of a detection head
            break;
          default:
            value = static_cast<float>(draws.uniform(-0.3, 0.3));
        }
      }
    weights.emplace(parameter.name, std::move(tensor));
  }
  return weights;
}

Tensor bools(const Shape& shape, const std::vector<bool>& values) {
  Tensor tensor(shape, DType::kBool);
  for (size_t i = 0; i < values.size(); ++i) tensor.bytes()[i] = static_cast<std::byte>(values[i] ? 1 : 0);
  return tensor;
}

void write_json(const fs::path& path, const json& content) {
  fs::create_directories(path.parent_path());
  write_file_atomically(path, content.dump(1) + "\n");
}

void write_tensors(const fs::path& path, const Weights& tensors,
                   const std::map<std::string, std::string>& metadata) {
  fs::create_directories(path.parent_path());
  weights::write_safetensors(path, tensors, metadata);
}

}  // namespace marrow::golden

int main(int argc, char** argv) {
  using namespace marrow::golden;
  if (argc != 2) {
    std::fprintf(stderr, "usage: record_golden FOLDER\n");
    return 2;
  }
  try {
    const fs::path root = argv[1];
    record_backbones(root);
    record_blocks(root);
    record_forward(root);
    record_letterbox(root);
    record_nms(root);
    record_augment(root);
    record_loss(root);
    record_metrics(root);
    record_schedule(root);
    record_val_loader(root);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
  return 0;
}
