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

// Sets the names from COCO's categories, with the skeleton of those that have keypoints, from VOC's objects,
// the folders of train, or DOTA's label files. Empty for kYolo.
void gather_class_names(Dataset& dataset);

}  // namespace marrow::data
