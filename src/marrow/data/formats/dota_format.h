// DOTA's label files of turned boxes, one text an image: lines "x1 y1 x2 y2 x3 y3 x4 y4 class difficult" in
// pixels, below headers of fewer words.
// Source: DOTA: A Large-scale Dataset for Object Detection in Aerial Images, Xia et al. 2018.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "marrow/data/dataset.h"
#include "marrow/geometry/size.h"

namespace marrow::data {

// The 18 classes of version 2 in their usual order, with spaces for hyphens. The first 15 are version 1's,
// the first 16 version 1.5's.
const std::vector<std::string>& dota_classes();

// The least of the versions that has all classes of these label files.
std::vector<std::string> dota_names(const std::vector<std::filesystem::path>& files);

// The labels as outlines. Hyphens in names of classes are spaces. A line whose coordinates are no numbers
// makes the image unusable; one of an unknown class is left out, with a problem. How difficult an object is
// does not matter. A box may reach outside the image and keeps its corners.
ParsedLabels parse_dota(std::string_view text, const std::string& file, const ClassIndex& classes,
                        Size picture);

// The folder of the label files of a folder of images: labelTxt or the like beside it, or
// labels/NAME_original for images/NAME. Empty when there is none.
std::filesystem::path dota_label_folder(const std::filesystem::path& images);

}  // namespace marrow::data
