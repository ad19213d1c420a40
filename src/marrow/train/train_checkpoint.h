// A run's checkpoint: the averaged model as every Marrow checkpoint has it, and in the same file what
// training needs to go on. docs/formats/checkpoint.md.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "marrow/graph/weights.h"
#include "marrow/model/checkpoint.h"
#include "marrow/train/recipe/train_options.h"
#include "marrow/train/train_state.h"

namespace marrow::train {

// Written atomically: a crash leaves the old file. Throws Error{kFile}.
void write_train_checkpoint(const std::filesystem::path& path, const model::Model& model,
                            const TrainSnapshot& snapshot, const TrainOptions& options);

// Of a run that has ended: the averaged model, and a state that says how far it came; of the tensors no
// others. Written atomically. Throws Error{kFile}.
void write_finished_checkpoint(const std::filesystem::path& path, const model::Model& model,
                               const TrainSnapshot& snapshot);

struct TrainCheckpoint {
  model::Model model;
  TrainSnapshot snapshot;  // of a finished run: its average is what is trained, the optimizer begins anew
  TrainOptions options;    // a finished run's are in its args.yaml only
  bool finished = false;
};

// Throws Error{kFile, kFormat, kModel}; of a file that holds only a model it says so.
TrainCheckpoint read_train_checkpoint(const std::filesystem::path& path);

// The averaged model alone, with what is known of it: `notes` become metadata ("epoch", "fitness").
void write_final_checkpoint(const std::filesystem::path& path, const model::Model& model,
                            const Weights& average, const std::map<std::string, std::string>& notes);

}  // namespace marrow::train
