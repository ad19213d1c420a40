#include "marrow/detect/sheet.h"

#include <algorithm>
#include <cmath>

#include "marrow/image/resize.h"

namespace marrow::detect {

image::Image image_sheet(std::span<const image::Image> pictures, int largest_side) {
  constexpr int kGap = 4;
  int cell_width = 0, cell_height = 0;
  for (const image::Image& picture : pictures) {
    cell_width = std::max(cell_width, picture.width());
    cell_height = std::max(cell_height, picture.height());
  }
  if (cell_width == 0 || cell_height == 0) return {};
  const auto count = static_cast<int>(pictures.size());
  const int columns = static_cast<int>(std::ceil(std::sqrt(count)));
  const int rows = (count + columns - 1) / columns;
  const int room = largest_side - kGap * (std::max(columns, rows) - 1);
  const double shrink = std::min(
      1.0, std::max(room, 1) / static_cast<double>(std::max(columns * cell_width, rows * cell_height)));
  const auto scaled = [&](int side) { return std::max(static_cast<int>(side * shrink), 1); };

  image::Image sheet(columns * (scaled(cell_width) + kGap) - kGap, rows * (scaled(cell_height) + kGap) - kGap,
                     255);
  for (int i = 0; i < count; ++i) {
    const image::Image& picture = pictures[static_cast<size_t>(i)];
    if (picture.empty()) continue;
    image::resize_linear(picture.pixels(), sheet.region(i % columns * (scaled(cell_width) + kGap),
                                                        i / columns * (scaled(cell_height) + kGap),
                                                        scaled(picture.width()), scaled(picture.height())));
  }
  return sheet;
}

}  // namespace marrow::detect
