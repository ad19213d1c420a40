#include "support/open_model.h"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "marrow/base/error.h"
#include "marrow/base/talk.h"
#include "marrow/graph/passes/pass.h"
#include "marrow/model/checkpoint_path.h"
#include "marrow/model/deployed.h"
#include "marrow/model/graph_json.h"
#include "marrow/model/zoo.h"
#include "marrow/predict/input_size.h"

namespace marrow::cli {
OpenedModel open_model(const std::string& model, const OpenOptions& options) {
  OpenedModel opened{.has_weights = model::is_checkpoint_path(model)};
  model::TrainedModel& trained = opened.trained;
  if (opened.has_weights) {
    if (!options.backbone.empty() || options.classes > 0)
      throw Error(ErrorKind::kUsage, "--backbone and --nc are for a YAML or a name, not for a checkpoint");
    trained = options.incomplete ? model::import_checkpoint(model, options.import).trained
                                 : model::load_trained(model, options.import);
  } else {
    model::BuildOptions build;
    if (options.classes > 0) build.classes = options.classes;
    trained.model = model::make_model(model, options.backbone, build);
    if (options.draw) trained.weights = randomize(trained.model.graph, 0);
  }
  for (const std::string& warning : trained.model.warnings) talk("marrow: " + warning);
  return opened;
}

model::TrainedModel open_checkpoint(const std::string& file, const model::ImportOptions& options) {
  if (model::is_checkpoint_path(file)) return open_model(file, {.import = options}).trained;
  model::find_model_spec(file);  // refuses an unknown name, with the nearest one
  throw Error(ErrorKind::kUsage,
              fmt::format("{}: a description without weights. Wanted is a checkpoint, such as {}.pt; 'marrow "
                          "import' turns published files into checkpoints",
                          file, std::filesystem::path(file).stem().string()));
}

void require_storable(const std::string& file, const model::Model& model) {
  if (!model::is_deployed(model)) return;
  try {
    model::graph_to_json(model.graph);
  } catch (const Error& error) {
    throw Error(error.kind(),
                fmt::format("{}: {}. It can be run as it is: 'marrow predict', 'val', 'benchmark' and "
                            "'export' take it",
                            file, error.what()));
  }
}

TileOptions chosen_tiles(const TileFlags& flags, const std::string& file, const model::Model& model) {
  TileOptions tiles = model.tiles;
  if (flags.side) tiles.side = *flags.side;
  if (flags.overlap) tiles.overlap = *flags.overlap;
  if (!flags.side && tiles.side > 0)
    talk(fmt::format(
        "marrow: {} was trained on tiles of {} px, so images are cut into these, overlap {}; --tile 0 "
        "leaves them whole",
        file, tiles.side, tiles.overlap));
  return tiles;
}

Size tiled_input_size(const std::string& file, const model::Model& model, std::span<const int> imgsz,
                      const TileOptions& tiles) {
  const bool free =
      imgsz.empty() && tiles.side > 0 && tiles.side != model.tiles.side && model.fixed_height == 0;
  return predict::input_size(file, model, free ? std::span<const int>(&tiles.side, 1) : imgsz);
}

int square_input_size(const std::string& file, const model::Model& model, int imgsz) {
  const Size size =
      predict::input_size(file, model, imgsz > 0 ? std::span<const int>(&imgsz, 1) : std::span<const int>());
  if (size.width != size.height)
    throw Error(ErrorKind::kUnsupported,
                fmt::format("{}: the network is fixed at {}x{}; here images are fitted into squares", file,
                            size.height, size.width));
  return size.width;
}

model::TrainedModel with_one_decode(model::TrainedModel trained, bool end2end) {
  passes::GraphWithWeights kept = passes::keep_one_decode({trained.model.graph, trained.weights}, end2end);
  trained.model.graph = std::move(kept.graph);
  trained.weights = std::move(kept.weights);
  return trained;
}

}  // namespace marrow::cli
