// Images for classification: one folder a class.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "marrow/data/dataset.h"

namespace marrow::data {

struct ClassifiedImage {
  std::filesystem::path path;
  int class_id = 0;  // into dataset.names, which are the folders of train, sorted
  bool operator==(const ClassifiedImage&) const = default;
};

// The images of SPLIT/CLASS/ (also deeper), sorted by class and path. Throws Error{kFormat} for a folder
// that is no class of train, kFile when nothing is found.
std::vector<ClassifiedImage> list_classified(const Dataset& dataset, std::string_view split);

}  // namespace marrow::data
