// marrow info: what a model is made of.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "marrow/base/error.h"
#include "marrow/base/talk.h"
#include "marrow/base/text.h"
#include "marrow/graph/passes/deploy.h"
#include "marrow/model/deployed.h"
#include "marrow/model/import.h"
#include "marrow/model/summary.h"
#include "marrow/model/zoo.h"
#include "support/cli.h"
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
  bool deploy = false;
  model::ImportOptions import;
};

// What deployment makes of it. A YAML's or a name's weights are drawn: the passes look at few of them.
model::Model deployed_form(const model::Model& model, Weights weights) {
  if (model::is_deployed(model)) return model;
  initialize_missing(model.graph, 0, weights);
  return model::with_graph(model, passes::deploy({model.graph, std::move(weights)}).graph);
}

// A YAML or a name is built; any other file is a checkpoint.
model::Model open_described(const Options& o) {
  if (model::is_checkpoint_path(o.model)) {
    if (!o.backbone.empty() || o.classes > 0)
      throw Error(ErrorKind::kUsage, "--backbone and --nc are for a YAML or a name, not for a checkpoint");
    model::TrainedModel trained = model::import_checkpoint(o.model, o.import).trained;
    return o.deploy ? deployed_form(trained.model, std::move(trained.weights)) : std::move(trained.model);
  }
  model::BuildOptions build;
  if (o.classes > 0) build.classes = o.classes;
  const model::Model model = model::make_model(o.model, o.backbone, build);
  return o.deploy ? deployed_form(model, {}) : model;
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

int info(const Options& o) {
  const model::Model model = open_described(o);
  for (const std::string& warning : model.warnings) talk("marrow: " + warning);
  const auto [width, height] = input_size(o.model, model, o.imgsz);
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
  if (model::is_deployed(model)) {
    fmt::print("deployed: {} operations\n", model.graph.nodes.size() - 1);
    return 0;
  }
  fmt::print("with batch norms folded: {} layers, {} parameters, {:.1f} GFLOPs\n", summary.fused_leaf_layers,
             summary.fused_parameters, summary.fused_gflops);
  return 0;
}

}  // namespace

Action add_info(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App& command =
      *app.add_subcommand("info", "Print a model's layers, shapes, parameters and multiply-adds");
  command
      .add_option(
          "MODEL", options->model,
          "A YAML, a checkpoint, or a name of 'marrow models' (yolov8n, yolov8n-starnet, efficientnet_b0)")
      ->required()
      ->type_name("");
  command
      .add_option("--backbone", options->backbone,
                  "Replace the model's backbone by this one [default: its own]")
      ->type_name("NAME");
  command.add_option("--nc", options->classes, "Number of classes [default: the model's own]")
      ->check(in_range(1, 65536));
  add_image_size_option(command, options->imgsz);
  command.add_flag("-v,--verbose", options->verbose, "One line an operation [default: off]");
  command.add_flag("--json", options->as_json, "One JSON object [default: off]");
  command.add_flag(
      "--deploy", options->deploy,
      "Of the form that predict runs and 'marrow deploy' writes: batch norms folded, layers merged "
      "[default: off]");
  add_foreign_file_options(command, options->import);
  set_example(command, "marrow info yolov8n --backbone starnet_s1 --imgsz 320");
  return [options] { return info(*options); };
}

}  // namespace marrow::cli
