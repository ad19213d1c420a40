// The ways to describe a dataset, for dataset.cpp alone.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "marrow/data/dataset.h"

namespace marrow::data {

inline constexpr size_t kMaxDatasetYamlBytes = 1 << 20;

// Without gathering names: empty when the description has none. Absolute paths in, absolute paths out.
Dataset parse_dataset_yaml(std::string_view text, const std::filesystem::path& file,
                           std::vector<std::string> names);
Dataset dataset_of_folder(const std::filesystem::path& folder, std::vector<std::string> names);
Dataset dataset_of_json(const std::filesystem::path& file);

// From COCO's categories, VOC's objects, or the folders of train. Empty for kYolo.
std::vector<std::string> gather_class_names(const Dataset& dataset);

}  // namespace marrow::data
