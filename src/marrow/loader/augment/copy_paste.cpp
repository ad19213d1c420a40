#include "marrow/loader/augment/copy_paste.h"

#include <algorithm>
#include <cmath>

#include "marrow/loader/augment/flip.h"

namespace marrow::loader {

std::vector<uint8_t> fill_polygon(std::span<const Point<ImagePixels>> polygon, Size picture) {
  const auto width = static_cast<size_t>(picture.width);
  std::vector<uint8_t> mask(width * static_cast<size_t>(picture.height));
  std::vector<float> crossings;
  for (int y = 0; y < picture.height; ++y) {
    const float middle = static_cast<float>(y) + 0.5f;
    crossings.clear();
    for (size_t i = 0; i < polygon.size(); ++i) {
      const Point<ImagePixels>& from = polygon[i];
      const Point<ImagePixels>& to = polygon[(i + 1) % polygon.size()];
      if ((from.y <= middle) == (to.y <= middle)) continue;
      crossings.push_back(from.x + (middle - from.y) / (to.y - from.y) * (to.x - from.x));
    }
    std::ranges::sort(crossings);
    // Pixel x is inside when crossing[i] <= x + 0.5 < crossing[i + 1].
    const auto first_pixel = [&](float crossing) {
      return static_cast<size_t>(
          std::ceil(std::clamp(crossing - 0.5f, 0.0f, static_cast<float>(picture.width))));
    };
    uint8_t* row = mask.data() + static_cast<size_t>(y) * width;
    for (size_t i = 0; i + 1 < crossings.size(); i += 2) {
      const size_t begin = first_pixel(crossings[i]), end = first_pixel(crossings[i + 1]);
      if (begin < end) std::fill(row + begin, row + end, uint8_t{1});
    }
  }
  return mask;
}

void copy_paste(Sample& sample, double share) {
  struct Candidate {
    Object object;
    float cover;
  };
  std::vector<Candidate> candidates;
  for (const Object& object : sample.objects) {
    if (object.polygon.size() < 3) continue;
    Candidate candidate{mirrored_horizontally(object, sample.image.width()), 0.0f};
    for (const Object& other : sample.objects)
      candidate.cover = std::max(candidate.cover, intersection_area(candidate.object.box, other.box) /
                                                      std::max(other.box.area(), 1e-7f));
    if (candidate.cover < kLargestCover) candidates.push_back(std::move(candidate));
  }
  std::ranges::stable_sort(candidates, {}, &Candidate::cover);
  const auto wanted = static_cast<size_t>(std::nearbyint(share * static_cast<double>(candidates.size())));
  candidates.resize(std::min(wanted, candidates.size()));
  if (candidates.empty()) return;

  const Size size = size_of(sample.image);
  const image::Image original = sample.image;
  for (Candidate& candidate : candidates) {
    const std::vector<uint8_t> mask = fill_polygon(candidate.object.polygon, size);
    for (int y = 0; y < size.height; ++y)
      for (int x = 0; x < size.width; ++x)
        if (mask[static_cast<size_t>(y) * static_cast<size_t>(size.width) + static_cast<size_t>(x)] != 0)
          std::copy_n(original.pixel(size.width - 1 - x, y), original.pixel_bytes(),
                      sample.image.pixel(x, y));
    sample.objects.push_back(std::move(candidate.object));
  }
}

}  // namespace marrow::loader
