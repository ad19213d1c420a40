#include "support/listing.h"

#include <fmt/format.h>

#include "marrow/nn/backbones/backbone.h"

namespace marrow::cli {

void print_names(const std::vector<std::string>& names) {
  constexpr size_t kColumns = 100;
  std::string line = "   ";
  for (const std::string& name : names) {
    if (line.size() + 1 + name.size() > kColumns) {
      fmt::print("{}\n", line);
      line = "   ";
    }
    line += " " + name;
  }
  fmt::print("{}\n", line);
}

void print_backbones() {
  for (const nn::BackboneFamily* family : nn::backbone_families()) {
    std::vector<std::string> sources, variants;
    for (const nn::BackboneSource& source : family->sources) sources.push_back(source.name);
    for (const nn::BackboneVariant& variant : family->variants) variants.push_back(variant.name);
    fmt::print("\n  {}: {}\n    weights of: {}\n", family->name, family->paper, fmt::join(sources, ", "));
    print_names(variants);
  }
}

}  // namespace marrow::cli
