#include "marrow/model/deployed.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/graph/shapes.h"

namespace marrow::model {
namespace {

constexpr std::array kTasks = {"classify", "detect", "obb", "pose", "segment"};

// How many classes the output of a detector or classifier tells apart; 0 where the output does not say.
int classes_of(const Graph& graph, const std::string& task) {
  if (task == "classify") return graph.node(graph.find("logits")).channels;
  for (const NamedValue& output : graph.outputs)
    if (output.name == kDecodedOutput || output.name == kOneToOneOutput)
      if (const auto* decode = std::get_if<DetectDecode>(&graph.node(output.value).operation))
        return decode->classes;
  throw Error(ErrorKind::kModel, fmt::format("there is no output '{}' of a detection head", kDecodedOutput));
}

}  // namespace

Model with_graph(const Model& model, Graph graph) {
  Model result = model;
  result.graph = std::move(graph);
  result.layers.clear();
  result.save.clear();
  result.scale.clear();
  result.yaml.clear();
  return result;
}

Model model_of_graph(Graph graph, std::string task, std::vector<std::string> names, int largest_stride) {
  if (std::ranges::find(kTasks, task) == kTasks.end())
    throw Error(ErrorKind::kModel,
                unknown_name_message("task", task, std::vector<std::string>(kTasks.begin(), kTasks.end())));
  const int classes = classes_of(graph, task);
  if (classes > 0 && classes != static_cast<int>(names.size()))
    throw Error(ErrorKind::kModel, fmt::format("{} names for {} classes", names.size(), classes));
  // That sizes meet shows once, for a size that every network takes.
  const auto& input = std::get<Input>(graph.nodes.at(0).operation);
  const int multiple = std::max(largest_stride, 32);
  const int64_t size = input.format.crop > 0 ? input.format.crop : (255 / multiple + 1) * multiple;
  infer_shapes(graph, {1, input.channels, size, size});

  Model model;
  for (const NamedValue& tap : graph.taps)
    if (tap.name.starts_with("feat") && task != "classify")
      model.strides.push_back(graph.node(tap.value).stride);
  model.graph = std::move(graph);
  model.task = std::move(task);
  model.names = std::move(names);
  model.largest_stride = largest_stride;
  return model;
}

}  // namespace marrow::model
