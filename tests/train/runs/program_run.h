// Runs of marrow train as a process: their settings, what they are started with, and their logs.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "train/runs/train_program.h"
#include "train/tiny_run.h"

namespace marrow::testing {

class ProgramRun : public ::testing::Test {
 protected:
  using Arguments = std::vector<std::string>;

  // The folder is there before, to be watched.
  Arguments begin(train::TrainOptions options, const std::string& name, const Arguments& more = {}) const {
    options.name = name;
    options.exist_ok = true;
    std::filesystem::create_directories(tiny_.run(name) / "weights");
    const std::filesystem::path file = tiny_.folder / (name + ".yaml");
    write_file_atomically(file, to_yaml(options));
    return joined({"--cfg", file.string()}, more);
  }
  Arguments resume(const std::string& name, const Arguments& more = {}) const {
    return joined({"--resume", tiny_.run(name).string()}, more);
  }
  std::filesystem::path log(const std::string& name = "run") const { return tiny_.folder / (name + ".log"); }

  TinyRun tiny_;

 private:
  static Arguments joined(Arguments words, const Arguments& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
};

}  // namespace marrow::testing
