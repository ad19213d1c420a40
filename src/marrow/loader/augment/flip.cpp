#include "marrow/loader/augment/flip.h"

#include <algorithm>
#include <utility>

#include "marrow/image/row_kernels.h"

namespace marrow::loader {

void mirror_horizontally(image::Image& image) {
  if (image.format() != SampleFormat()) {
    const size_t bytes = image.pixel_bytes();
    for (int y = 0; y < image.height(); ++y)
      for (int x = 0; x < image.width() / 2; ++x)
        std::swap_ranges(image.pixel(x, y), image.pixel(x, y) + bytes, image.pixel(image.width() - 1 - x, y));
    return;
  }
  const image::RowKernels kernels = image::row_kernels();
  for (int y = 0; y < image.height(); ++y) {
    const int done = kernels.mirror == nullptr ? 0 : kernels.mirror(image.row(y), image.width());
    uint8_t* left = image.row(y) + 3 * done;
    uint8_t* right = image.row(y) + 3 * (image.width() - done);
    for (int pairs = image.width() / 2 - done; pairs > 0; --pairs, left += 3) {
      right -= 3;
      std::swap(left[0], right[0]);
      std::swap(left[1], right[1]);
      std::swap(left[2], right[2]);
    }
  }
}

void mirror_vertically(image::Image& image) {
  for (int y = 0; y < image.height() / 2; ++y)
    std::swap_ranges(image.row(y), image.row(y) + image.row_bytes(), image.row(image.height() - 1 - y));
}

namespace {

Box<ImagePixels> mirrored_box(const Box<ImagePixels>& box, float width) {
  return {width - box.x2, box.y1, width - box.x1, box.y2};
}

Box<ImagePixels> upside_down(const Box<ImagePixels>& box, float height) {
  return {box.x1, height - box.y2, box.x2, height - box.y1};
}

void exchange(Object& object, std::span<const int> flip_idx) {
  if (flip_idx.empty()) return;
  const std::vector<Keypoint<ImagePixels>> before = object.keypoints;
  for (size_t k = 0; k < std::min(before.size(), flip_idx.size()); ++k)
    object.keypoints[k] = before.at(static_cast<size_t>(flip_idx[k]));
}

}  // namespace

Object mirrored_horizontally(const Object& object, int width) {
  const auto w = static_cast<float>(width);
  Object mirrored = object;
  mirrored.box = mirrored_box(object.box, w);
  for (Point<ImagePixels>& p : mirrored.polygon) p.x = w - p.x;
  for (Keypoint<ImagePixels>& p : mirrored.keypoints) p.x = w - p.x;
  return mirrored;
}

void flip_horizontally(Sample& sample, std::span<const int> flip_idx) {
  mirror_horizontally(sample.image);
  for (Object& object : sample.objects) {
    object = mirrored_horizontally(object, sample.image.width());
    exchange(object, flip_idx);
  }
  for (Box<ImagePixels>& box : sample.ignored)
    box = mirrored_box(box, static_cast<float>(sample.image.width()));
}

void flip_vertically(Sample& sample, std::span<const int> flip_idx) {
  mirror_vertically(sample.image);
  const auto h = static_cast<float>(sample.image.height());
  for (Object& object : sample.objects) {
    object.box = upside_down(object.box, h);
    for (Point<ImagePixels>& p : object.polygon) p.y = h - p.y;
    for (Keypoint<ImagePixels>& p : object.keypoints) p.y = h - p.y;
    exchange(object, flip_idx);
  }
  for (Box<ImagePixels>& box : sample.ignored) box = upside_down(box, h);
}

}  // namespace marrow::loader
