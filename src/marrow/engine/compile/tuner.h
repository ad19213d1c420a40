// Which of several implementations of a layer is the fastest on this machine: measured when a network is
// compiled, and remembered in a file below the user's cache folder (base/user_folders.h).
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "marrow/engine/steps/convolution.h"

namespace marrow::engine {

// What is measured of a layer: all of it, or of a large one the upper rows, whose time is that of the whole
// in proportion.
ConvDescription measured_part(const ConvDescription& conv);

class Tuner {
 public:
  // `file`: where choices are remembered; empty: nowhere. A file that cannot be read, or makes no sense,
  // counts as empty. `measures` false: the first implementation that accepts a layer is taken, and there is
  // no file.
  Tuner(bool measures, std::filesystem::path file, cpu::ThreadPool& pool);

  StepPtr make_convolution(const ConvDescription& conv);

  // Adds what was measured to the file. When it cannot be written the next program measures again.
  void save() const;

  // $XDG_CACHE_HOME/marrow/... or ~/.cache/marrow/...; empty where there is neither.
  static std::filesystem::path default_file();

 private:
  const ConvImplementation& choose(const ConvDescription& conv);
  std::string key(const ConvDescription& conv) const;

  bool measures_;
  std::filesystem::path file_;
  cpu::ThreadPool& pool_;
  std::string machine_;
  std::map<std::string, std::string> choices_;  // of this machine: implementations by layer
  bool changed_ = false;
};

}  // namespace marrow::engine
