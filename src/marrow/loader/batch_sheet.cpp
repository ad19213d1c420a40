#include "loader/batch_sheet.h"

#include <algorithm>

#include "detect/draw.h"
#include "detect/sheet.h"

namespace marrow {
namespace {

Image draw(const Tensor& images, std::span<const std::vector<Detection>> boxes,
           std::span<const std::string> names, int largest_side) {
  std::vector<Image> pictures;
  for (size_t i = 0; i < boxes.size(); ++i) {
    pictures.push_back(image_of_batch(images, static_cast<int64_t>(i)));
    draw_detections(pictures.back(), boxes[i], names);
  }
  return picture_sheet(pictures, largest_side);
}

size_t count(const Tensor& images, size_t most) {
  return std::min(static_cast<size_t>(images.dim(0)), most);
}

}  // namespace

Image image_of_batch(const Tensor& images, int64_t i) {
  const int height = static_cast<int>(images.dim(2)), width = static_cast<int>(images.dim(3));
  const size_t plane = static_cast<size_t>(height) * static_cast<size_t>(width);
  const uint8_t* planes = images.values<uint8_t>().data() + static_cast<size_t>(i) * 3 * plane;
  Image image(width, height);
  uint8_t* pixel = image.row(0);
  for (size_t p = 0; p < plane; ++p, pixel += 3)
    for (size_t c = 0; c < 3; ++c) pixel[c] = planes[(2 - c) * plane + p];
  return image;
}

std::vector<Detection> targets_of_batch(const DetectionBatch& batch, int64_t i) {
  std::vector<Detection> boxes;
  const auto height = static_cast<float>(batch.images.dim(2)),
             width = static_cast<float>(batch.images.dim(3));
  for (int64_t row = 0; row < batch.targets.dim(0); ++row) {
    const auto t = batch.targets.values().subspan(static_cast<size_t>(row) * 6, 6);
    if (static_cast<int64_t>(t[0]) != i) continue;
    boxes.push_back({.box = {(t[2] - t[4] / 2) * width, (t[3] - t[5] / 2) * height, (t[2] + t[4] / 2) * width,
                             (t[3] + t[5] / 2) * height},
                     .confidence = kNoConfidence,
                     .class_id = static_cast<int>(t[1])});
  }
  return boxes;
}

Image batch_sheet(const DetectionBatch& batch, std::span<const std::string> names, size_t most,
                  int largest_side) {
  std::vector<std::vector<Detection>> boxes;
  for (size_t i = 0; i < count(batch.images, most); ++i)
    boxes.push_back(targets_of_batch(batch, static_cast<int64_t>(i)));
  return draw(batch.images, boxes, names, largest_side);
}

Image batch_sheet(const DetectionBatch& batch, std::span<const std::vector<Detection>> detections,
                  std::span<const std::string> names, size_t most, int largest_side) {
  return draw(batch.images, detections.first(std::min(count(batch.images, most), detections.size())), names,
              largest_side);
}

Image class_sheet(const Tensor& images, std::span<const int> class_ids, std::span<const std::string> names,
                  size_t most, int largest_side) {
  const BoxXyxy all = {0, 0, static_cast<float>(images.dim(3)), static_cast<float>(images.dim(2))};
  std::vector<std::vector<Detection>> boxes;
  for (size_t i = 0; i < count(images, most); ++i)
    boxes.push_back({{.box = all, .confidence = kNoConfidence, .class_id = class_ids[i]}});
  return draw(images, boxes, names, largest_side);
}

}  // namespace marrow
