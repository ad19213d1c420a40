// Datasets from one format to another: YOLO, COCO and VOC.
#pragma once

#include <filesystem>

#include "marrow/data/tools/read_whole.h"

namespace marrow::data {

// Writes all splits below `out` (write_dataset.h). Throws what write_dataset throws, and what reading the
// dataset throws.
ReadSummary convert_dataset(const Dataset& dataset, const std::filesystem::path& out,
                            const WriteOptions& options);

}  // namespace marrow::data
