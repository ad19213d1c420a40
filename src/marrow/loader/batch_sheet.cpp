#include "marrow/loader/batch_sheet.h"

#include <algorithm>
#include <cmath>

#include "marrow/detect/draw.h"
#include "marrow/detect/draw_extras.h"
#include "marrow/detect/extras.h"
#include "marrow/detect/sheet.h"
#include "marrow/image/convert.h"
#include "marrow/image/resize.h"

namespace marrow::loader {
namespace {

// How many times larger a tile is drawn than the network sees it.
int magnification(int longest_side, size_t tiles, int largest_side) {
  constexpr int kLegibleSide = 320;  // below it a tag hides what it names
  const int columns = static_cast<int>(std::ceil(std::sqrt(static_cast<double>(tiles))));
  const int legible = (kLegibleSide + longest_side - 1) / longest_side;
  return std::clamp(largest_side / (std::max(columns, 1) * longest_side), 1, legible);
}

// The network's input becomes an image that people look at.
detect::Detection magnified(const detect::InputDetection& detection, int times) {
  const auto factor = static_cast<float>(times);
  const Box<InputPixels>& box = detection.box;
  return detect::with_box<ImagePixels>(detection,
                                       {box.x1 * factor, box.y1 * factor, box.x2 * factor, box.y2 * factor});
}

constexpr int64_t kTurnedColumns = 7;  // of targets

// The masks of image i, whose rows `drawn` are, in a picture `factor` times larger. One is made at a time: a
// label file may hold thousands.
void draw_masks_of_batch(image::Image& picture, const DetectionBatch& batch, int64_t i,
                         std::span<const detect::Detection> drawn, float factor) {
  if (batch.masks.shape().size() != 3) return;
  const Size size = {static_cast<int>(batch.masks.dim(2)), static_cast<int>(batch.masks.dim(1))};
  const int64_t columns = batch.targets.dim(1);
  int64_t first = 0;  // of the image's rows, which stand together
  while (first < batch.targets.dim(0) &&
         static_cast<int64_t>(batch.targets.values()[static_cast<size_t>(first * columns)]) != i)
    ++first;
  detect::DetectionExtras extras;
  extras.masks.push_back({.mask = Mask(size)});
  extras.mask_size = size;
  extras.mask_place.ratio_x = static_cast<double>(size.width) / static_cast<double>(batch.images.dim(3));
  extras.mask_place.ratio_y = static_cast<double>(size.height) / static_cast<double>(batch.images.dim(2));
  extras = detect::scaled(std::move(extras), factor, factor);
  std::vector<uint8_t>& pixels = extras.masks.front().mask.pixels;
  // Overlapping masks are one picture an image; otherwise there is one a row.
  for (size_t k = drawn.size(); k-- > 0;) {
    const auto row = static_cast<int64_t>(k);
    const int32_t* const numbers =
        batch.masks.values<int32_t>().data() +
        (batch.overlapping_masks ? i : first + row) * static_cast<int64_t>(pixels.size());
    const auto wanted = static_cast<int32_t>(batch.overlapping_masks ? row + 1 : 1);
    for (size_t p = 0; p < pixels.size(); ++p) pixels[p] = numbers[p] == wanted;
    detect::draw_masks(picture, drawn.subspan(k, 1), extras);
  }
}

// In a picture `factor` times larger.
std::vector<Box<ImagePixels>> regions_of_batch(const DetectionBatch& batch, int64_t i, float factor) {
  const Size size = {static_cast<int>(batch.images.dim(3)), static_cast<int>(batch.images.dim(2))};
  std::vector<Box<ImagePixels>> regions;
  for (int64_t row = 0; row < batch.ignored.dim(0); ++row) {
    const auto r = batch.ignored.values().subspan(static_cast<size_t>(row) * 5, 5);
    if (static_cast<int64_t>(r[0]) == i) regions.push_back(to_pixels({r[1], r[2], r[3], r[4]}, size));
  }
  for (Box<ImagePixels>& box : regions)
    box = {box.x1 * factor, box.y1 * factor, box.x2 * factor, box.y2 * factor};
  return regions;
}

// As many pictures as there are entries. `labelled`: the batch whose targets they are, without the masks; its
// regions to ignore and its masks are drawn too. Null: none.
image::Image draw(const Tensor& images, std::span<const DrawnDetections> entries,
                  std::span<const std::string> names, int largest_side,
                  const DetectionBatch* labelled = nullptr) {
  const int height = static_cast<int>(images.dim(2)), width = static_cast<int>(images.dim(3));
  const int times = magnification(std::max({width, height, 1}), entries.size(), largest_side);
  const auto factor = static_cast<float>(times);
  std::vector<image::Image> pictures;
  for (size_t i = 0; i < entries.size(); ++i) {
    image::Image picture = image_of_batch(images, static_cast<int64_t>(i));
    if (times > 1) picture = image::resize_linear(picture, width * times, height * times);
    std::vector<detect::Detection> drawn;
    for (const detect::InputDetection& detection : entries[i].boxes)
      drawn.push_back(magnified(detection, times));
    if (labelled != nullptr) {
      detect::draw_regions(picture, regions_of_batch(*labelled, static_cast<int64_t>(i), factor));
      draw_masks_of_batch(picture, *labelled, static_cast<int64_t>(i), drawn, factor);
    }
    detect::draw_detections(picture, drawn, names, detect::scaled(entries[i].extras, factor, factor));
    pictures.push_back(std::move(picture));
  }
  return detect::image_sheet(pictures, largest_side);
}

size_t count(const Tensor& images, size_t most) {
  return std::min(static_cast<size_t>(images.dim(0)), most);
}

// Of the rows of image i, without masks.
detect::DetectionExtras extras_of_batch(const DetectionBatch& batch, int64_t i) {
  detect::DetectionExtras extras;
  const auto height = static_cast<float>(batch.images.dim(2)),
             width = static_cast<float>(batch.images.dim(3));
  const int64_t columns = batch.targets.dim(1);
  const bool turned = columns == kTurnedColumns, has_points = batch.keypoints.shape().size() == 3;
  for (int64_t row = 0; row < batch.targets.dim(0); ++row) {
    const float* t = batch.targets.values().data() + row * columns;
    if (static_cast<int64_t>(t[0]) != i) continue;
    if (turned) extras.rotated.push_back({t[2] * width, t[3] * height, t[4] * width, t[5] * height, t[6]});
    if (!has_points) continue;
    const int64_t each = batch.keypoints.dim(1);
    detect::Keypoints& points = extras.keypoints.emplace_back();
    for (int64_t k = 0; k < each; ++k) {
      const float* p = batch.keypoints.values().data() + (row * each + k) * 3;
      points.push_back({p[0] * width, p[1] * height, p[2]});
    }
  }
  return extras;
}

}  // namespace

image::Image image_of_batch(const Tensor& images, int64_t i) {
  const int height = static_cast<int>(images.dim(2)), width = static_cast<int>(images.dim(3));
  const auto channels = static_cast<size_t>(images.dim(1));
  const size_t plane = static_cast<size_t>(height) * static_cast<size_t>(width);
  const size_t first = static_cast<size_t>(i) * channels * plane;
  image::Image image(width, height);
  const auto fill = [&](const auto& sample_at) {
    uint8_t* pixel = image.row(0);
    for (size_t p = 0; p < plane; ++p, pixel += 3)
      for (size_t c = 0; c < 3; ++c) pixel[c] = sample_at(first + (channels < 3 ? 0 : 2 - c) * plane + p);
  };
  if (images.dtype() == DType::kInt32) {
    const auto samples = images.values<int32_t>();
    fill([&](size_t at) { return image::narrow_sample(static_cast<uint16_t>(samples[at])); });
  } else {
    const auto samples = images.values<uint8_t>();
    fill([&](size_t at) { return samples[at]; });
  }
  return image;
}

std::vector<detect::InputDetection> targets_of_batch(const DetectionBatch& batch, int64_t i) {
  std::vector<detect::InputDetection> boxes;
  const auto height = static_cast<float>(batch.images.dim(2)),
             width = static_cast<float>(batch.images.dim(3));
  for (int64_t row = 0; row < batch.targets.dim(0); ++row) {
    const auto columns = static_cast<size_t>(batch.targets.dim(1));
    const auto t = batch.targets.values().subspan(static_cast<size_t>(row) * columns, columns);
    if (static_cast<int64_t>(t[0]) != i) continue;
    if (columns == kTurnedColumns) {
      const RotatedBox<InputPixels> box = {t[2] * width, t[3] * height, t[4] * width, t[5] * height, t[6]};
      boxes.push_back(
          {.box = box.bounds(), .confidence = detect::kNoConfidence, .class_id = static_cast<int>(t[1])});
      continue;
    }
    boxes.push_back({.box = {(t[2] - t[4] / 2) * width, (t[3] - t[5] / 2) * height, (t[2] + t[4] / 2) * width,
                             (t[3] + t[5] / 2) * height},
                     .confidence = detect::kNoConfidence,
                     .class_id = static_cast<int>(t[1])});
  }
  return boxes;
}

image::Image batch_sheet(const DetectionBatch& batch, std::span<const std::string> names, size_t most,
                         int largest_side) {
  std::vector<DrawnDetections> entries;
  for (size_t k = 0; k < count(batch.images, most); ++k) {
    const auto i = static_cast<int64_t>(k);
    entries.push_back({targets_of_batch(batch, i), extras_of_batch(batch, i)});
  }
  return draw(batch.images, entries, names, largest_side, &batch);
}

image::Image batch_sheet(const DetectionBatch& batch, std::span<const DrawnDetections> detections,
                         std::span<const std::string> names, size_t most, int largest_side) {
  return draw(batch.images, detections.first(std::min(count(batch.images, most), detections.size())), names,
              largest_side);
}

image::Image class_sheet(const Tensor& images, std::span<const int> class_ids,
                         std::span<const std::string> names, size_t most, int largest_side) {
  const Box<InputPixels> all = {0, 0, static_cast<float>(images.dim(3)), static_cast<float>(images.dim(2))};
  std::vector<DrawnDetections> entries;
  for (size_t i = 0; i < count(images, most); ++i)
    entries.push_back({{{.box = all, .confidence = detect::kNoConfidence, .class_id = class_ids[i]}}});
  return draw(images, entries, names, largest_side);
}

}  // namespace marrow::loader
