#include "marrow/data/tools/check_sheet.h"

#include <algorithm>

#include "marrow/base/error.h"
#include "marrow/data/tools/label_extras.h"
#include "marrow/detect/draw.h"
#include "marrow/detect/sheet.h"
#include "marrow/geometry/letterbox.h"
#include "marrow/image/convert.h"
#include "marrow/image/network_input.h"
#include "marrow/image/resize.h"

namespace marrow::data {
namespace {

Box<ImagePixels> box_of(const Label& label, const LabelledImage& image) {
  const auto [x1, y1, x2, y2] = pixel_box(label, image).corner_form();
  return {static_cast<float>(x1), static_cast<float>(y1), static_cast<float>(x2), static_cast<float>(y2)};
}

detect::DetectionExtras moved(detect::DetectionExtras extras, float left, float top) {
  for (detect::Keypoints& points : extras.keypoints)
    for (Keypoint<ImagePixels>& point : points)
      if (point.visibility > 0) point = {point.x + left, point.y + top, point.visibility};
  for (RotatedBox<ImagePixels>& box : extras.rotated) box.cx += left, box.cy += top;
  extras.mask_place.left -= static_cast<double>(left);
  extras.mask_place.top -= static_cast<double>(top);
  return extras;
}

}  // namespace

image::Image draw_tile(const ImageFile& file, std::vector<detect::Detection> boxes,
                       std::span<const std::string> names, int tile, const ImageReading& reading,
                       std::vector<Box<ImagePixels>> regions, const LabelExtras& extras) {
  image::Image picture;
  try {
    picture = image::displayed(decode_image(file, {.fit = {}, .reading = reading}).image);
  } catch (const Error&) {
    return image::Image(tile, tile, kLetterboxGrey);
  }
  // Boxes are drawn after resizing, so that lines and letters have the same size in every tile.
  const Letterbox geometry = letterbox_geometry({picture.width(), picture.height()}, {tile, tile});
  image::Image canvas = image::letterbox(picture, geometry);
  const double scale_x = static_cast<double>(geometry.resized.width) / picture.width();
  const double scale_y = static_cast<double>(geometry.resized.height) / picture.height();
  const auto x = [&](float value) { return static_cast<float>(value * scale_x + geometry.left); };
  const auto y = [&](float value) { return static_cast<float>(value * scale_y + geometry.top); };
  const auto move = [&](Box<ImagePixels>& box) { box = {x(box.x1), y(box.y1), x(box.x2), y(box.y2)}; };
  for (Box<ImagePixels>& region : regions) move(region);
  for (detect::Detection& one : boxes) move(one.box);
  detect::draw_regions(canvas, regions);
  detect::DetectionExtras drawn;
  if (extras)
    drawn =
        moved(extras(geometry.resized), static_cast<float>(geometry.left), static_cast<float>(geometry.top));
  detect::draw_detections(canvas, boxes, names, drawn);
  return canvas;
}

image::Image draw_label_sheet(std::span<const LabelledImage* const> images,
                              std::span<const std::string> names, const ImageReading& reading, Task task,
                              int columns, int tile) {
  std::vector<const LabelledImage*> chosen;
  std::ranges::copy_if(images, std::back_inserter(chosen), [](const LabelledImage* image) {
    return !image->labels.empty() || !image->ignored.empty();
  });
  if (chosen.empty()) chosen.assign(images.begin(), images.end());
  if (chosen.empty()) return {};
  const size_t most = static_cast<size_t>(columns) * static_cast<size_t>(columns);
  if (chosen.size() > most) {
    for (size_t i = 0; i < most; ++i) chosen[i] = chosen[i * chosen.size() / most];  // i <= i * size / most
    chosen.resize(most);
  }
  std::vector<image::Image> tiles;
  for (const LabelledImage* image : chosen) {
    std::vector<detect::Detection> boxes;
    std::vector<Box<ImagePixels>> regions;
    for (const Label& label : image->labels)
      boxes.push_back(
          {.box = box_of(label, *image), .confidence = detect::kNoConfidence, .class_id = label.class_id});
    for (const IgnoredLabel& ignored : image->ignored) regions.push_back(box_of(ignored.label, *image));
    tiles.push_back(draw_tile(*image, std::move(boxes), names, tile, reading, std::move(regions),
                              [&](Size shown) { return extras_of(*image, task, shown); }));
  }
  return detect::image_sheet(tiles);
}

image::Image draw_pair_sheet(std::span<const std::pair<ImageFile, ImageFile>> pairs,
                             const ImageReading& reading, size_t most, int tile) {
  constexpr int kFrame = 4;
  std::vector<image::Image> tiles;
  for (const auto& [left, right] : pairs.first(std::min(pairs.size(), most))) {
    image::Image& pair = tiles.emplace_back(2 * tile + 2 * kFrame, tile + 2 * kFrame, kLetterboxGrey);
    int x = kFrame;
    for (const ImageFile* file : {&left, &right}) {
      const image::Image drawn = draw_tile(*file, {}, {}, tile, reading);
      image::resize_linear(drawn.pixels(), pair.region(x, kFrame, tile, tile));
      x += tile;
    }
  }
  return detect::image_sheet(tiles);
}

}  // namespace marrow::data
