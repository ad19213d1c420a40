// Reads the settings of one network, checked: they come from model files and command lines.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "marrow/nn/backbones/backbone.h"

namespace marrow::nn {

// Every accessor throws Error{kModel} naming the family, the setting, what was found and what is allowed.
class Settings {
 public:
  static constexpr int kMaxChannels = 65536;
  static constexpr int kMaxBlocks = 256;  // in a list, or in one stage

  // `config` must outlive the object. A setting that it lacks is an error: choose_backbone fills all in.
  Settings(std::string_view family, const BackboneConfig& config) : family_(family), config_(config) {}

  int integer(std::string_view key, int smallest, int largest) const;
  double number(std::string_view key, double smallest, double largest) const;
  bool flag(std::string_view key) const;
  std::string text(std::string_view key) const;
  // At most kMaxBlocks of them; empty when the setting is null.
  std::vector<int> integers(std::string_view key, int smallest, int largest) const;
  // The setting "depth": a factor on the repeats of every stage; see scaled_repeats.
  double depth() const { return number("depth", 0.01, 16); }

  [[noreturn]] void fail(std::string_view key, const std::string& wanted) const;

 private:
  const BackboneConfig& at(std::string_view key) const;

  std::string family_;
  const BackboneConfig& config_;
};

// A published width times a width factor, rounded up to a multiple of 8 as YOLOv8's own width multiple is; as
// it is where the factor is 1.
int scaled_channels(int channels, double factor);

// A stage's published repeats times a depth factor, rounded up. Source: EfficientNet, Tan and Le 2019, whose
// code rounds so.
int scaled_repeats(int repeats, double depth);

}  // namespace marrow::nn
