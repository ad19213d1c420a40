#include "marrow/train/train_checkpoint.h"

#include <nlohmann/json.hpp>

#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/weights/safetensors.h"

namespace marrow::train {
namespace {

using nlohmann::json;

// Beside the averaged model, whose tensors have their plain names.
constexpr const char* kWeightsPrefix = "train.weights/";
constexpr const char* kOptimizerPrefix = "train.optimizer/";
constexpr const char* kStateKey = "train.state";
constexpr const char* kOptionsKey = "train.options";

void add(Weights& all, const std::string& prefix, const Weights& some) {
  for (const auto& [name, tensor] : some) all.emplace(prefix + name, tensor);
}

// Moves the tensors of a prefix out of `all`.
Weights take(Weights& all, const std::string& prefix) {
  Weights taken;
  for (auto i = all.lower_bound(prefix); i != all.end() && i->first.starts_with(prefix); i = all.erase(i))
    taken.emplace(i->first.substr(prefix.size()), i->second);
  return taken;
}

}  // namespace

void write_train_checkpoint(const std::filesystem::path& path, const model::Model& model,
                            const TrainSnapshot& snapshot, const TrainOptions& options) {
  std::map<std::string, std::string> metadata = model::checkpoint_metadata(model);
  metadata[kStateKey] = to_json_text(snapshot);
  metadata[kOptionsKey] = json(to_map(options)).dump(-1, ' ', false, json::error_handler_t::replace);
  Weights tensors = snapshot.average;
  add(tensors, kWeightsPrefix, snapshot.weights);
  add(tensors, kOptimizerPrefix, snapshot.optimizer);
  weights::write_safetensors(path, tensors, metadata);
}

void write_finished_checkpoint(const std::filesystem::path& path, const model::Model& model,
                               const TrainSnapshot& snapshot) {
  std::map<std::string, std::string> metadata = model::checkpoint_metadata(model);
  metadata[kStateKey] = to_json_text(snapshot);
  weights::write_safetensors(path, snapshot.average, metadata);
}

TrainCheckpoint read_train_checkpoint(const std::filesystem::path& path) {
  weights::SafetensorsFile file = weights::read_safetensors(path);
  const std::string name = path.string();
  const auto state = file.metadata.find(kStateKey), options = file.metadata.find(kOptionsKey);
  const auto first_weight = file.tensors.lower_bound(kWeightsPrefix);
  const bool holds_weights =
      first_weight != file.tensors.end() && first_weight->first.starts_with(kWeightsPrefix);
  if (state == file.metadata.end() || (holds_weights && options == file.metadata.end()))
    throw Error(ErrorKind::kModel, name +
                                       ": holds a model but no training state, so it cannot be resumed. "
                                       "Start a new run from it with --model");
  TrainCheckpoint checkpoint;
  checkpoint.snapshot = snapshot_of(state->second, name + ": metadata '" + kStateKey + "'");
  checkpoint.finished = !holds_weights;
  if (checkpoint.finished) {
    model::TrainedModel average = model::model_of_checkpoint(path, file.metadata, file.tensors);
    checkpoint.model = std::move(average.model);
    checkpoint.snapshot.weights = average.weights;
    checkpoint.snapshot.average = std::move(average.weights);
    return checkpoint;
  }
  std::map<std::string, std::string> texts;
  try {
    texts = json::parse(options->second).get<std::map<std::string, std::string>>();
  } catch (const json::exception& error) {
    throw Error(ErrorKind::kFormat,
                name + ": metadata '" + kOptionsKey + "': " + printable(error.what(), 300));
  }
  checkpoint.options = train_options_of(texts, name + ": metadata '" + kOptionsKey + "'");
  checkpoint.snapshot.weights = take(file.tensors, kWeightsPrefix);
  checkpoint.snapshot.optimizer = take(file.tensors, kOptimizerPrefix);
  model::TrainedModel average = model::model_of_checkpoint(path, file.metadata, file.tensors);
  checkpoint.model = std::move(average.model);
  checkpoint.snapshot.average = std::move(average.weights);
  verify(checkpoint.model.graph, checkpoint.snapshot.weights);
  for (const Parameter& parameter : checkpoint.model.graph.parameters) {
    const DType wanted = parameter.role == ParameterRole::kCounter ? DType::kInt64 : DType::kFloat32;
    const auto found = checkpoint.snapshot.weights.find(parameter.name);
    if (found != checkpoint.snapshot.weights.end() && found->second.dtype() != wanted)
      throw Error(ErrorKind::kModel, name + ": tensor '" + kWeightsPrefix + parameter.name + "' is " +
                                         std::string(dtype_name(found->second.dtype())) + ", wanted " +
                                         std::string(dtype_name(wanted)));
  }
  return checkpoint;
}

void write_final_checkpoint(const std::filesystem::path& path, const model::Model& model,
                            const Weights& average, const std::map<std::string, std::string>& notes) {
  std::map<std::string, std::string> metadata = model::checkpoint_metadata(model);
  metadata.insert(notes.begin(), notes.end());
  weights::write_safetensors(path, average, metadata);
}

}  // namespace marrow::train
