// The options of `marrow train`: the rows of the table of training options, for marrow and the programs that
// it starts: marrow-train-torch for CUDA, marrow-train-mpi for several workers.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "command_line/command_line.h"
#include "marrow/train/recipe/train_options.h"

namespace marrow::cli {

// What was given.
class TrainFlags {
 public:
  // Over what `options` holds.
  void apply(train::TrainOptions& options) const;
  std::vector<const train::TrainOption*> given() const;
  // Over the defaults and the file, if there is one, of which `say` gets what read_train_options returns.
  train::TrainOptions options(const std::function<void(const std::string&)>& say = {}) const;
  // As words that say the same.
  std::vector<std::string> words() const;

  std::string cfg;
  std::optional<std::string> resume;  // empty: the latest run

 private:
  friend void declare_train_flags(Command& command, TrainFlags& flags);
  struct Given {
    const train::TrainOption* option;
    std::string text;
  };
  std::vector<Given> given_;
};

// "--warmup-epochs" for "warmup_epochs"
std::string flag_of(const std::string& key);

// A row of the table as an option with its help, values and default. `take` gets texts that fit.
Option& declare_train_option(Command& command, const train::TrainOption& row, const TakeText& take);

void declare_train_flags(Command& command, TrainFlags& flags);

}  // namespace marrow::cli
