#include "marrow/loader/augment/mosaic.h"

#include <algorithm>
#include <cstring>

#include "marrow/geometry/letterbox.h"

namespace marrow::loader {

MosaicCentre draw_mosaic_centre(int image_size, Random& random) {
  MosaicCentre centre;
  centre.y = static_cast<int>(random.uniform(image_size / 2.0, image_size * 1.5));
  centre.x = static_cast<int>(random.uniform(image_size / 2.0, image_size * 1.5));
  return centre;
}

Sample mosaic(std::span<const SharedSample, 4> tiles, int image_size, MosaicCentre centre) {
  const int side = 2 * image_size;
  Sample result{
      image::Image(side, side, kLetterboxGrey, tiles.front().image->format()), {}, {}, tiles.front().task};
  for (size_t i = 0; i < tiles.size(); ++i) {
    const image::Image& tile = *tiles[i].image;
    const bool right = i % 2 == 1, bottom = i >= 2;
    // Where the whole tile would lie, and the part of it that does.
    const int left = right ? centre.x : centre.x - tile.width();
    const int top = bottom ? centre.y : centre.y - tile.height();
    const int from_x = std::max(left, 0), to_x = std::min(left + tile.width(), side);
    const int from_y = std::max(top, 0), to_y = std::min(top + tile.height(), side);
    if (to_x > from_x)
      for (int y = from_y; y < to_y; ++y)
        std::memcpy(result.image.pixel(from_x, y), tile.pixel(from_x - left, y - top),
                    static_cast<size_t>(to_x - from_x) * tile.pixel_bytes());
    for (const Object& object : tiles[i].objects) {
      result.objects.push_back(object);
      scale_and_shift(result.objects.back(), 1, 1, static_cast<float>(left), static_cast<float>(top));
    }
    for (const Box<ImagePixels>& box : tiles[i].ignored)
      result.ignored.push_back(
          scaled_and_shifted(box, 1, 1, static_cast<float>(left), static_cast<float>(top)));
  }
  even_out(result.objects);
  clip_and_drop(result.objects, {side, side}, result.task);
  clip_and_drop(result.ignored, {side, side});
  return result;
}

}  // namespace marrow::loader
