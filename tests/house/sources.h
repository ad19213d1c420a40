// The project's own sources, as the tests of its layout read them.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace marrow::testing {

struct Source {
  std::filesystem::path path;  // from the root of the project: "src/marrow/graph/graph.h"
  std::string text;
};

// Every .h and .cpp below the folders, by path. Throws Error{kFile} where one cannot be read.
std::vector<Source> read_sources(const std::vector<std::string>& folders);

// As src/marrow/CMakeLists.txt declares them: a layer, and those it may include, itself among them.
using Layers = std::map<std::string, std::set<std::string>>;
Layers declared_layers();

// The layer that a path below src/marrow lies in: the longest declared one that it begins with; "" for none.
std::string layer_of(const Layers& layers, const std::string& path);

// The paths that a text includes in quotes.
std::vector<std::string> quoted_includes(const std::string& text);

// "marrow::data::CocoImage" for every class, struct, union and enum that the text defines in a named
// namespace.
std::vector<std::string> defined_types(const std::string& text);

}  // namespace marrow::testing
