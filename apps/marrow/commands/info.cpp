// marrow info: what a model is made of.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "commands/commands.h"
#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/engine/engine.h"
#include "marrow/graph/passes/deploy.h"
#include "marrow/graph/print.h"
#include "marrow/graph/shapes.h"
#include "marrow/model/deployed.h"
#include "marrow/model/summary.h"
#include "marrow/predict/input_size.h"
#include "support/common_options.h"
#include "support/open_model.h"

namespace marrow::cli {
namespace {

using nlohmann::json;

struct Options {
  std::string model;
  std::string backbone;
  int classes = 0;
  std::vector<int> imgsz;
  bool verbose = false;
  bool as_json = false;
  bool graph = false;
  bool dot = false;
  bool program = false;
  bool deploy = false;
  engine::EngineOptions engine;
  model::ImportOptions import;
};

// What deployment makes of it. A YAML's or a name's weights are drawn: the passes look at few of them.
model::Model deployed_form(const model::Model& model, Weights weights) {
  if (model::is_deployed(model)) return model;
  initialize_missing(model.graph, 0, weights);
  return model::with_graph(model, passes::deploy({model.graph, std::move(weights)}).graph);
}

std::string shapes_text(const std::vector<Shape>& shapes) {
  std::vector<std::string> texts;
  for (const Shape& shape : shapes) texts.push_back(to_string(shape));
  return join(texts, " ");
}

std::string from_text(const model::Layer& layer) {
  return layer.from_list ? fmt::format("[{}]", fmt::join(layer.from, ", "))
                         : fmt::format("{}", layer.from.at(0));
}

void print_layers(const model::Model& model, const model::Summary& summary) {
  fmt::print("{:>4} {:>5} {:>14} {:>3} {:>11} {:>15}  {:<14} {:<28} {}\n", "", "index", "from", "n", "params",
             "MACs", "module", "output", "arguments");
  for (size_t i = 0; i < model.layers.size(); ++i) {
    const model::Layer& layer = model.layers[i];
    const model::LayerSummary& row = summary.layers[i];
    fmt::print("{:>4} {:>5} {:>14} {:>3} {:>11} {:>15}  {:<14} {:<28} {}\n", layer.index, layer.logical,
               from_text(layer), layer.repeats, row.parameters, row.macs, layer.module,
               shapes_text(row.outputs), layer.args);
  }
  fmt::print("(the first column numbers the parameters, 'model.N'; 'index' is what 'from' refers to)\n");
}

void print_parts(const std::vector<model::PartSummary>& parts, const Graph* operations) {
  fmt::print("{:<18} {:<36} {:>11} {:>15}  {}\n", operations ? "operation" : "", "module", "params", "MACs",
             "output");
  for (size_t i = 0; i < parts.size(); ++i)
    fmt::print("{:<18} {:<36} {:>11} {:>15}  {}\n",
               operations ? operation_name(operations->nodes[i].operation) : "", parts[i].name,
               parts[i].parameters, parts[i].macs, to_string(parts[i].output));
}

json parts_json(const std::vector<model::PartSummary>& parts) {
  json rows = json::array();
  for (const model::PartSummary& part : parts)
    rows.push_back({{"module", part.name},
                    {"parameters", part.parameters},
                    {"macs", part.macs},
                    {"output", part.output}});
  return rows;
}

json layers_json(const model::Model& model, const model::Summary& summary) {
  json rows = json::array();
  for (size_t i = 0; i < model.layers.size(); ++i) {
    const model::Layer& layer = model.layers[i];
    json from = layer.from;
    if (!layer.from_list) from = layer.from.at(0);
    rows.push_back({{"index", layer.index},
                    {"logical_index", layer.logical},
                    {"from", from},
                    {"repeats", layer.repeats},
                    {"module", layer.module},
                    {"args", layer.args},
                    {"parameters", summary.layers[i].parameters},
                    {"macs", summary.layers[i].macs},
                    {"outputs", summary.layers[i].outputs}});
  }
  return rows;
}

Shape network_shape(const model::Model& model, Size size) {
  return {1, std::get<Input>(model.graph.nodes.at(0).operation).channels, size.height, size.width};
}

// The model as a program for this CPU, for one image.
int print_program(const Options& o, const OpenedModel& opened, Size size) {
  Weights weights = opened.trained.weights;
  initialize_missing(opened.trained.model.graph, 0, weights);
  engine::Engine engine(opened.trained.model.graph, weights, network_shape(opened.trained.model, size), {},
                        o.engine);
  fmt::print("{}", engine.describe());
  return 0;
}

void refuse_several_forms(const Options& o) {
  const int forms =
      int{o.graph} + int{o.dot} + int{o.program} + int{o.as_json} + int{o.verbose && !o.as_json};
  if (forms > 1)
    throw Error(ErrorKind::kUsage, "--verbose, --json, --graph, --dot and --program: one at a time");
}

int info(const Options& o) {
  refuse_several_forms(o);
  OpenedModel opened = open_model(
      o.model,
      {.backbone = o.backbone, .classes = o.classes, .import = o.import, .incomplete = true, .draw = false});
  const Size size = predict::input_size(o.model, opened.trained.model, o.imgsz);
  const auto [width, height] = size;
  if (o.program) return print_program(o, opened, size);
  const model::Model model = o.deploy ? deployed_form(opened.trained.model, std::move(opened.trained.weights))
                                      : std::move(opened.trained.model);
  if (o.graph || o.dot) {
    const std::vector<Shape> shapes = infer_shapes(model.graph, network_shape(model, size));
    fmt::print("{}", o.graph ? to_string(model.graph, shapes) : to_dot(model.graph, shapes));
    return 0;
  }
  const model::Summary summary = model::summarize(model, height, width);
  const bool by_layer = !model.layers.empty();

  if (o.as_json) {
    json object = {{"model", o.model},
                   {"task", model.task},
                   {"classes", model.classes()},
                   {"imgsz", {height, width}},
                   {"parameters", summary.parameters},
                   {"gradients", summary.gradients},
                   {"macs", summary.macs},
                   {"gflops", summary.gflops},
                   {"fused_parameters", summary.fused_parameters},
                   {"fused_gflops", summary.fused_gflops},
                   {"strides", model.strides},
                   {"deployed", model::is_deployed(model)},
                   {"operation_count", model.graph.nodes.size() - 1}};
    object["layers"] = by_layer ? layers_json(model, summary)
                                : parts_json(model::summarize_modules(model.graph, height, width));
    json readings = json::object();
    for (const auto& [name, reading] : model.readings) readings[name] = reading;
    object["readings"] = std::move(readings);
    if (o.verbose) object["operations"] = parts_json(model::summarize_operations(model.graph, height, width));
    fmt::print("{}\n", object.dump(-1, ' ', false, json::error_handler_t::replace));
    return 0;
  }
  if (o.verbose)
    print_parts(model::summarize_operations(model.graph, height, width), &model.graph);
  else if (by_layer)
    print_layers(model, summary);
  else
    print_parts(model::summarize_modules(model.graph, height, width), nullptr);
  fmt::print("\n{}{} at {}x{}: {} layers, {} parameters, {} gradients, {} multiply-adds, {:.1f} GFLOPs\n",
             o.model, o.backbone.empty() ? "" : " on " + o.backbone, height, width, summary.leaf_layers,
             summary.parameters, summary.gradients, summary.macs, summary.gflops);
  for (const auto& [name, reading] : model.readings) fmt::print("{} is read as {}\n", name, reading);
  if (const ImageReading reading = image_reading(model.graph); reading != ImageReading())
    fmt::print("images are read with {}\n", to_string(reading));
  if (model::is_deployed(model)) {
    fmt::print("deployed: {} operations\n", model.graph.nodes.size() - 1);
    return 0;
  }
  fmt::print("with batch norms folded: {} layers, {} parameters, {:.1f} GFLOPs\n", summary.fused_leaf_layers,
             summary.fused_parameters, summary.fused_gflops);
  return 0;
}

}  // namespace

void declare_info(Command& command) {
  auto options = std::make_shared<Options>();
  command.summary("Print a model's layers, shapes, parameters and multiply-adds");
  add_model(command, options->model);
  add_training_option(command, "backbone", &options->backbone);
  command.option("--nc", &options->classes, "Number of classes").range(1, 65536).without("the model's own");
  add_image_size(command, options->imgsz);
  command.flag("-v,--verbose", &options->verbose, "Print a line for each operation");
  add_json(command, options->as_json);
  command.flag("--graph", &options->graph,
               "Print the graph: each operation with its settings, inputs, shape and parameters");
  command.flag("--dot", &options->dot, "Print the graph for Graphviz: 'marrow info MODEL --dot | dot -Tsvg'");
  command.flag(
      "--program", &options->program,
      "Print what the engine makes of the deployed form on this machine: the steps with their kernels, "
      "shapes and places in memory");
  add_deploy(command, options->deploy);
  add_foreign_file(command, options->import);
  command.group("With --program");
  add_engine(command, options->engine);
  command.example("marrow info yolov8n --backbone starnet_s1 --imgsz 320");
  command.example("marrow info yolov8n-starnet_s1 --graph --deploy");
  command.action([options] { return info(*options); });
}

}  // namespace marrow::cli
