// marrow models: every model that has a name.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "commands/commands.h"
#include "marrow/model/zoo.h"
#include "marrow/nn/backbones/backbone.h"
#include "marrow/nn/blocks/module_table.h"
#include "support/common_options.h"
#include "support/listing.h"

namespace marrow::cli {
namespace {

std::vector<std::string> detectors() {
  std::vector<std::string> names = model::zoo_names();
  const std::vector<std::string> classifiers = nn::backbone_names();
  std::erase_if(names,
                [&](const std::string& name) { return std::ranges::binary_search(classifiers, name); });
  return names;
}

// "yolov8-p2" for yolov8n-p2 to yolov8x-p2.
std::vector<std::string> without_scales(const std::vector<std::string>& names) {
  std::vector<std::string> stems;
  for (const std::string& name : names) stems.push_back(model::split_scale(name).stem);
  std::ranges::sort(stems);
  stems.erase(std::unique(stems.begin(), stems.end()), stems.end());
  return stems;
}

int list_models(bool as_json) {
  if (as_json) {
    nlohmann::json all = {{"models", detectors()}, {"backbones", nlohmann::json::array()}};
    for (const nn::BackboneFamily* family : nn::backbone_families()) {
      nlohmann::json entry = {{"family", family->name},
                              {"paper", family->paper},
                              {"sources", nlohmann::json::array()},
                              {"variants", nlohmann::json::array()}};
      for (const nn::BackboneSource& source : family->sources) entry["sources"].push_back(source.name);
      for (const nn::BackboneVariant& variant : family->variants) entry["variants"].push_back(variant.name);
      all["backbones"].push_back(entry);
    }
    fmt::print("{}\n", all.dump());
    return 0;
  }
  fmt::print("YOLOv8 models; a letter n, s, m, l or x behind the 8 chooses the scale: yolov8n-p2\n\n");
  print_names(without_scales(detectors()));
  fmt::print(
      "\nBackbones: alone the published classifier with 1000 classes; with '--backbone NAME', or as "
      "yolov8n-NAME, a detector\n");
  print_backbones();
  fmt::print("\n'marrow info NAME' shows one in detail.\n");
  return 0;
}

}  // namespace

void declare_models(Command& command) {
  auto as_json = std::make_shared<bool>(false);
  auto modules = std::make_shared<bool>(false);
  command.summary("List every model that has a name");
  add_json(command, *as_json);
  command.flag("--modules", modules.get(),
               "Print the modules that a line of a YAML may name, and those of forks that are refused, as "
               "docs/modules.md");
  command.example("marrow models");
  command.action([as_json, modules] {
    if (!*modules) return list_models(*as_json);
    fmt::print("{}", nn::module_table());
    return 0;
  });
}

}  // namespace marrow::cli
