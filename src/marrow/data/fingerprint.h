// What images and labels a split has, wherever it lies.
#pragma once

#include <span>
#include <string>

#include "marrow/data/labels.h"

namespace marrow::data {

// 16 hex digits, from the order of the images and of each its file name, its size in bytes and in pixels, and
// its labels; of a copy in another folder the same. Asks for the size of every file.
std::string fingerprint(std::span<const LabelledImage> images);

}  // namespace marrow::data
