// The folder of runs small enough for tests, and what can be said of any of them.
#pragma once

#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "marrow/base/files.h"
#include "marrow/train/recipe/train_options.h"
#include "support/temporary_folder.h"

namespace marrow::testing {

class TinyProject {
 public:
  std::filesystem::path run(const std::string& name) const { return folder / "runs" / name; }
  std::filesystem::path weights(const std::string& name, const std::string& file) const {
    return run(name) / "weights" / (file + ".safetensors");
  }
  std::string bytes(const std::string& name, const std::string& file) const {
    return read_file(weights(name, file), 100 << 20);
  }
  // Of results.csv, the heading first.
  std::vector<std::string> results(const std::string& name) const {
    std::vector<std::string> lines;
    std::istringstream text(read_file(run(name) / "results.csv", 1 << 20));
    for (std::string line; std::getline(text, line);) lines.push_back(line);
    return lines;
  }

  testing::TemporaryFolder folder;

 protected:
  // Four epochs of batches of 4, four batches a step: epochs end with gradients pending.
  train::TrainOptions common_options(const std::string& name) const {
    train::TrainOptions o;
    o.model = (folder / "tiny.yaml").string();
    o.project = (folder / "runs").string();
    o.name = name;
    o.epochs = 4;
    o.batch = 4;
    o.nbs = 16;
    o.workers = 1;
    o.optimizer = "SGD";
    o.warmup_epochs = 0;
    o.threads = 1;
    o.plots = false;  // they take longer than such a run
    return o;
  }
};

}  // namespace marrow::testing
