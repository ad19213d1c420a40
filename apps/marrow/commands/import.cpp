// marrow import: a published checkpoint becomes a Marrow checkpoint, with a report of what was loaded.
#include "marrow/model/import.h"

#include <fmt/format.h>

#include <memory>

#include "marrow/base/counted.h"
#include "marrow/base/error.h"
#include "marrow/model/summary.h"
#include "support/cli.h"

namespace marrow::cli {
namespace {

struct Options {
  std::string file;
  std::string output;
  double min_loaded = -1;  // share of all parameters; negative: all of the backbone
  model::ImportOptions import;
};

int import_file(const Options& options) {
  if (!options.output.empty())
    check_output_file(options.output, ".safetensors", "a checkpoint", options.file);
  model::ImportOptions how = options.import;
  how.partial = options.min_loaded >= 0;
  const model::Import import = model::import_checkpoint(options.file, how);
  const model::Model& model = import.trained.model;
  fmt::print("{}: {}, holding {}\n", options.file, import.kind, import.network);
  fmt::print("{} classes, {} parameters\n\n{}\n", model.classes(), model::count_parameters(model.graph),
             to_string(import.report));

  const double share = import.report.loaded_share([](const std::string&) { return true; });
  fmt::print("loaded {:.1f} % of the model's tensors, {:.1f} % of its backbone's\n", 100 * share,
             100 * import.backbone_share);
  const bool enough = options.min_loaded >= 0 ? share >= options.min_loaded : import.backbone_share >= 1;
  if (!enough) {
    fmt::print(stderr, "marrow: {}: too little was loaded: {}; nothing was written\n", options.file,
               options.min_loaded >= 0
                   ? fmt::format("{:.3f} of the tensors, --min-loaded is {}", share, options.min_loaded)
                   : "the whole backbone is wanted. --min-loaded SHARE accepts less");
    return 1;
  }
  if (!options.output.empty()) {
    model::save_checkpoint(options.output, model, import.trained.weights);
    fmt::print("written: {}\n", options.output);
  }
  const size_t fresh = import.report.missing.size() + import.report.mismatched.size();
  if (fresh > 0) {
    std::fflush(stdout);
    fmt::print(
        stderr,
        "marrow: fresh and random, not from the file: {}. The model has to be trained before its predictions "
        "mean anything\n",
        counted(static_cast<int64_t>(fresh), "tensor"));
  }
  return 0;
}

}  // namespace

Action add_import(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App& command = *app.add_subcommand("import", "Turn a published checkpoint into a Marrow checkpoint");
  command
      .add_option("FILE", options->file,
                  ".pt, .pth, .pth.tar, .pdparams or .safetensors; the kind is told by the content")
      ->required()
      ->type_name("");
  command.add_option("-o,--output", options->output, "Where to write the checkpoint [default: only report]")
      ->type_name("FILE.safetensors");
  command.add_option(
      "--model", options->import.model,
      "The network that the file fills: a YAML, or a name of 'marrow models' [default: told by the file]");
  command
      .add_option("--source", options->import.source,
                  "The implementation that the weights come from, such as timm or torchvision [default: told "
                  "by the file]")
      ->type_name("NAME");
  command.add_option(
      "--key", options->import.key,
      "The entry of the file that holds the weights [default: ema, model_ema, model or state_dict]");
  command
      .add_option(
          "--min-loaded", options->min_loaded,
          "Fail when a smaller share of the model's tensors is loaded, 0..1 [default: all of the backbone]")
      ->check(in_range(0.0, 1.0))
      ->type_name("SHARE");
  set_example(command, "marrow import starnet_s1.pth.tar --model yolov8n-starnet_s1 -o starnet.safetensors");
  return [options] { return import_file(*options); };
}

}  // namespace marrow::cli
