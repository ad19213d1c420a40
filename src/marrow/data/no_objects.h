// Why a split has nothing to learn or to measure.
#pragma once

#include <string>
#include <string_view>

#include "marrow/data/dataset.h"
#include "marrow/data/dataset_split.h"

namespace marrow::data {

// "split 'train' has no objects: " and the reason: where labels were looked for and what lies
// elsewhere, or why those that were read do not count (crowds, difficult, other classes, unusable images,
// empty files). For a split of boxes whose labels hold no object.
std::string no_objects_message(const Dataset& dataset, std::string_view split, const SplitLabels& labels);

}  // namespace marrow::data
