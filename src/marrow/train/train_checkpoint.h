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

// Everything a run consists of, after an optimizer step, with no gradient pending. The tensors are copies.
struct TrainSnapshot {
  Weights average;    // the model that is validated and used
  Weights weights;    // the model that is trained
  Weights optimizer;  // Optimizer::State::tensors
  TrainState state;
};

// Written atomically: a crash leaves the old file. Throws Error{kFile}.
void write_train_checkpoint(const std::filesystem::path& path, const model::Model& model,
                            const TrainSnapshot& snapshot, const TrainOptions& options);

struct TrainCheckpoint {
  model::Model model;
  TrainSnapshot snapshot;
  TrainOptions options;
};

// Throws Error{kFile, kFormat, kModel}; of a file that holds only a model, such as that of a finished run, it
// says so.
TrainCheckpoint read_train_checkpoint(const std::filesystem::path& path);

// Whether it holds a model of ours without a training state, as the end of a run leaves it. Throws
// Error{kFile, kFormat}.
bool is_final_checkpoint(const std::filesystem::path& path);

// The averaged model alone, with what is known of it: `notes` become metadata ("epoch", "fitness").
void write_final_checkpoint(const std::filesystem::path& path, const model::Model& model,
                            const Weights& average, const std::map<std::string, std::string>& notes);

}  // namespace marrow::train
