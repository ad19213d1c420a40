// marrow import: a published checkpoint becomes a Marrow checkpoint, with a report of what was loaded.
#include "marrow/model/import.h"

#include <fmt/format.h>

#include <memory>

#include "commands/commands.h"
#include "marrow/base/counted.h"
#include "marrow/base/error.h"
#include "marrow/base/talk.h"
#include "marrow/base/text.h"
#include "marrow/model/summary.h"
#include "support/common_options.h"
#include "support/open_model.h"
#include "support/output_file.h"

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
  for (const std::string& warning : model.warnings) talk("marrow: " + warning);
  if (!options.output.empty()) require_storable(options.file, model);
  fmt::print("{}: {}, holding {}\n", options.file, import.kind, import.network);
  fmt::print("{} classes, {} parameters\n\n{}\n", model.classes(), model::count_parameters(model.graph),
             to_string(import.report));
  if (!import.pairs.empty()) {
    fmt::print("{:<48} {:<48} {}\n", "the file's", "the model's", "shape");
    for (const model::NamePair& pair : import.pairs)
      fmt::print("{:<48} {:<48} {}\n", printable(pair.theirs), pair.ours,
                 to_string(import.trained.weights.at(pair.ours).shape()));
    fmt::print("\n");
  }

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

void declare_import(Command& command) {
  auto options = std::make_shared<Options>();
  command.summary("Turn a published checkpoint into a Marrow checkpoint");
  command
      .argument("FILE", &options->file,
                ".pt, .pth, .pth.tar, .pdparams or .safetensors; the kind is told by the content")
      .required();
  add_output(command, options->output, "FILE.safetensors", "only report");
  const ForeignFileOptions foreign = add_foreign_file(command, options->import);
  foreign.model.also("--model");
  foreign.source.also("--source");
  command
      .option("--rename", &options->import.rename,
              "Rename the file's tensors first: PATTERN=PATTERN, where * stands for a part of a name without "
              "dots, ** "
              "for any, and {1} for what the first of them stood for")
      .type("PATTERN=PATTERN,...")
      .without("their own names");
  command
      .option("--match", &options->import.match,
              "How tensors find their place: by names, or by order: the file's and the model's are paired as "
              "they follow "
              "each other, by shape; the pairs are printed")
      .choices({"names", "order"});
  command.option("--key", &options->import.key, "The entry of the file that holds the weights")
      .type("NAME")
      .without("ema, model_ema, model or state_dict");
  command
      .option("--min-loaded", &options->min_loaded,
              "Fail when a smaller share of the model's tensors is loaded, 0..1")
      .type("SHARE")
      .range(0, 1)
      .without("all of the backbone");
  command.example("marrow import starnet_s1.pth.tar --as yolov8n-starnet_s1 -o starnet.safetensors");
  command.action([options] { return import_file(*options); });
}

}  // namespace marrow::cli
