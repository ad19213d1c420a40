#include "marrow/data/tools/check_sheet.h"

#include <algorithm>

#include "marrow/base/error.h"
#include "marrow/detect/draw.h"
#include "marrow/detect/letterbox.h"
#include "marrow/detect/sheet.h"
#include "marrow/image/decode.h"

namespace marrow::data {
namespace {

detect::Detection detection_of(const Label& label, const LabelledImage& image) {
  const double left = (label.cx - label.w / 2) * image.width, top = (label.cy - label.h / 2) * image.height;
  return {.box = {static_cast<float>(left), static_cast<float>(top),
                  static_cast<float>(left + label.w * image.width),
                  static_cast<float>(top + label.h * image.height)},
          .confidence = detect::kNoConfidence,
          .class_id = label.class_id};
}

image::Image draw_tile(const LabelledImage& labelled, std::span<const std::string> names, int tile) {
  image::Image picture;
  try {
    picture = image::decode_image_file(labelled.path).image;
  } catch (const Error&) {
    return image::Image(tile, tile, detect::kLetterboxGrey);
  }
  // Boxes are drawn after resizing, so that lines and letters have the same size in every tile.
  const detect::Letterbox geometry =
      detect::letterbox_geometry({picture.width(), picture.height()}, {tile, tile});
  image::Image canvas = detect::letterbox(picture, geometry);
  std::vector<detect::Detection> boxes;
  for (const Label& label : labelled.labels) boxes.push_back(detection_of(label, labelled));
  for (detect::Detection& box : boxes)
    for (size_t i = 0; i < 4; ++i) {
      const bool horizontal = i % 2 == 0;
      const double scale = horizontal ? static_cast<double>(geometry.resized.width) / labelled.width
                                      : static_cast<double>(geometry.resized.height) / labelled.height;
      box.box[i] = static_cast<float>(box.box[i] * scale + (horizontal ? geometry.left : geometry.top));
    }
  detect::draw_detections(canvas, boxes, names);
  return canvas;
}

}  // namespace

image::Image draw_label_sheet(std::span<const LabelledImage* const> images,
                              std::span<const std::string> names, int columns, int tile) {
  std::vector<const LabelledImage*> chosen;
  std::ranges::copy_if(images, std::back_inserter(chosen),
                       [](const LabelledImage* image) { return !image->labels.empty(); });
  if (chosen.empty()) chosen.assign(images.begin(), images.end());
  if (chosen.empty()) return {};
  const size_t most = static_cast<size_t>(columns) * static_cast<size_t>(columns);
  if (chosen.size() > most) {
    for (size_t i = 0; i < most; ++i) chosen[i] = chosen[i * chosen.size() / most];  // i <= i * size / most
    chosen.resize(most);
  }
  std::vector<image::Image> tiles;
  for (const LabelledImage* image : chosen) tiles.push_back(draw_tile(*image, names, tile));
  return detect::picture_sheet(tiles);
}

}  // namespace marrow::data
