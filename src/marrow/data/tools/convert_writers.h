// How COCO's and VOC's files are written, for convert.cpp alone.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "marrow/data/labels.h"

namespace marrow::data {

struct NamedImage {
  std::string name;  // of its file in the new dataset
  LabelledImage image;
};

// Keypoints are written where the skeleton has some: of every class, without a visibility as visible.
void write_coco(const std::filesystem::path& file, const std::vector<std::string>& names,
                const std::vector<NamedImage>& pictures, const Skeleton& skeleton);
void write_voc(const std::filesystem::path& out, const std::string& split,
               const std::vector<std::string>& names, const std::vector<NamedImage>& pictures);

// A number of pixels, rounded to a millionth, so that what was a whole number is one again.
std::string pixel_text(double value);

}  // namespace marrow::data
