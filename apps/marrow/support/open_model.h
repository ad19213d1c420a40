// What a command that wants a network takes for MODEL: a YAML, a name, or a checkpoint.
#pragma once

#include <span>
#include <string>

#include "marrow/geometry/letterbox.h"
#include "marrow/geometry/tiles.h"
#include "marrow/model/import.h"
#include "support/common_options.h"

namespace marrow::cli {

struct OpenedModel {
  model::TrainedModel trained;
  bool has_weights = false;  // otherwise it is a YAML or a name
};

struct OpenOptions {
  std::string backbone;         // for a YAML or a name: instead of its own
  int classes = 0;              // for a YAML or a name: instead of its own; 0: its own
  model::ImportOptions import;  // for a foreign checkpoint
  bool incomplete = false;      // a checkpoint may lack weights
  bool draw = true;             // the weights of a YAML or a name, at random; otherwise it has none
};

// Every command's reader of MODEL. What the reader warns of goes to stderr. Throws Error{kUsage} where an
// option does not fit, and what make_model and load_trained throw.
OpenedModel open_model(const std::string& model, const OpenOptions& options = {});

// The same where weights are wanted. Throws Error{kUsage} for a YAML or a name.
model::TrainedModel open_checkpoint(const std::string& file, const model::ImportOptions& options);

// Of a detector with two pairs of branches, for --end2end, the one (passes::keep_one_decode); any other as it
// is.
model::TrainedModel with_one_decode(model::TrainedModel trained, bool end2end);

// For a command that writes a checkpoint, before it works: throws Error{kUnsupported} for a model that cannot
// be stored in one, and names the commands that take it. Models of YAMLs always can, those of foreign ONNX
// files nearly always.
void require_storable(const std::string& file, const model::Model& model);

// The tiles that images are cut into: those of --tile and --overlap, or the model's own, and says so on
// stderr.
TileOptions chosen_tiles(const TileFlags& flags, const std::string& file, const model::Model& model);

// The input size for images in tiles: that of the tiles where --imgsz says nothing, the file is not fixed,
// and the model was not trained on such tiles.
Size tiled_input_size(const std::string& file, const model::Model& model, std::span<const int> imgsz,
                      const TileOptions& tiles);

// The same for a command that knows one side only. Throws Error{kUnsupported} where the file's sides differ.
int square_input_size(const std::string& file, const model::Model& model, int imgsz);

}  // namespace marrow::cli
