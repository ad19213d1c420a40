// Pascal VOC's XML files, one an image.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "marrow/data/dataset.h"
#include "marrow/data/labels.h"

namespace marrow::data {

inline constexpr size_t kMaxVocBytes = 4 << 20;

struct VocObject {
  std::string name;
  Box<ImagePixels, double> box;  // as stated
  bool difficult = false;
  int line = 0;
};

// What an XML file says, or why it cannot be used.
struct VocFile {
  std::string file_name;         // of the image; may be empty. The <path> element is not looked at
  double width = 0, height = 0;  // 0 when not stated
  std::vector<VocObject> objects;
  std::vector<Problem> problems;
  bool usable = true;
};

VocFile parse_voc(std::string_view text, const std::string& file);

// Labels by class name; width and height are the image's own. An object of a name that is no class makes
// the file unusable. Coordinates are taken as they stand: no pixel is subtracted (some converters do, and are
// wrong for files that count from 0). Difficult objects, and those named `ignore`, are regions to ignore.
ParsedLabels voc_labels(const VocFile& voc, const ClassIndex& classes, int width, int height,
                        const std::string& file);

}  // namespace marrow::data
