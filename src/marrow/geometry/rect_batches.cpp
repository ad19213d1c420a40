#include "marrow/geometry/rect_batches.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>

namespace marrow {

Size validation_size(Size picture, int image_size) {
  double ratio = static_cast<double>(image_size) / std::max(picture.width, picture.height);
  if (ratio == 1.0) return picture;
  auto side = [&](int length) { return std::min(static_cast<int>(std::ceil(length * ratio)), image_size); };
  return {side(picture.width), side(picture.height)};
}

RectBatches rect_batches(std::span<const Size> pictures, int batch, int image_size, int stride, double pad) {
  assert(batch > 0 && stride > 0);
  auto aspect = [&](size_t i) { return static_cast<double>(pictures[i].height) / pictures[i].width; };
  RectBatches result;
  result.order.resize(pictures.size());
  std::iota(result.order.begin(), result.order.end(), size_t{0});
  std::ranges::stable_sort(result.order, {}, aspect);
  for (size_t first = 0; first < pictures.size(); first += static_cast<size_t>(batch)) {
    size_t last = std::min(first + static_cast<size_t>(batch), pictures.size()) - 1;
    double widest = aspect(result.order[first]), tallest = aspect(result.order[last]);
    double height = 1.0, width = 1.0;
    if (tallest < 1.0) {
      height = tallest;
    } else if (widest > 1.0) {
      width = 1.0 / widest;
    }
    auto padded = [&](double ratio) {
      return static_cast<int>(std::ceil(ratio * image_size / stride + pad)) * stride;
    };
    result.batch_sizes.push_back({padded(width), padded(height)});
  }
  return result;
}

RectPlacement rect_placement(Size picture, int image_size, Size batch_size) {
  RectPlacement placement;
  placement.loaded = validation_size(picture, image_size);
  placement.letterbox = letterbox_geometry(placement.loaded, batch_size, {.scale_up = false});
  placement.ratio_height = static_cast<double>(placement.letterbox.resized.height) / picture.height;
  placement.ratio_width = static_cast<double>(placement.letterbox.resized.width) / picture.width;
  return placement;
}

}  // namespace marrow
