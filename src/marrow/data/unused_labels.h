// Annotations that lie where nobody looks for them: the usual reason why a dataset seems to have no objects.
#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "marrow/data/dataset.h"

namespace marrow::data {

// Files of one folder and suffix whose names are those of images without labels.
struct UnusedLabels {
  std::filesystem::path folder;
  std::string suffix;  // ".txt", ".xml", ".json", in lower case
  int64_t count = 0;
  std::filesystem::path file, image;  // the first file, and the image that it is named after

  // "labels_old/a.txt is named as images/a.jpg", with the number of files where there are more, and what to
  // do.
  std::string text(const Dataset& dataset) const;
};

// Looks through the folders that hold the dataset (its root, and those around its splits' sources), except
// for `read`, the files that were read. `images` are those without labels. At most kMaxFilesLookedAt files
// are looked at. Never throws for what cannot be listed.
inline constexpr int64_t kMaxFilesLookedAt = 500'000;
std::vector<UnusedLabels> find_unused_labels(const Dataset& dataset,
                                             const std::vector<std::filesystem::path>& images,
                                             const std::set<std::filesystem::path>& read);

}  // namespace marrow::data
