#include "marrow/loader/augment/copy_paste.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "marrow/loader/augment/flip.h"
#include "marrow/outline/raster.h"

namespace marrow::loader {

void copy_paste_from(const Sample& other, Sample& sample, double share) {
  assert(size_of(sample.image) == size_of(other.image) && sample.image.format() == other.image.format());
  struct Candidate {
    const Object* object;
    float cover;
  };
  constexpr float kTiny = 1e-7f;
  std::vector<Candidate> candidates;
  for (const Object& object : other.objects) {
    if (object.polygon.empty()) continue;
    Candidate candidate{&object, 0.0f};
    for (const Object& there : sample.objects)
      candidate.cover =
          std::max(candidate.cover, intersection_area(object.box, there.box) / (there.box.area() + kTiny));
    if (candidate.cover < kLargestCover) candidates.push_back(candidate);
  }
  std::ranges::stable_sort(candidates, {}, &Candidate::cover);
  const auto wanted = static_cast<size_t>(std::nearbyint(share * static_cast<double>(candidates.size())));
  candidates.resize(std::min(wanted, candidates.size()));
  if (candidates.empty()) return;

  Mask mask(size_of(sample.image));
  for (const Candidate& candidate : candidates) {
    outline::add_contour(candidate.object->polygon, mask);
    sample.objects.push_back(*candidate.object);
  }
  const size_t bytes = sample.image.pixel_bytes();
  for (int y = 0; y < mask.size.height; ++y)
    for (int x = 0; x < mask.size.width; ++x)
      if (mask.at(x, y) != 0) std::copy_n(other.image.pixel(x, y), bytes, sample.image.pixel(x, y));
  even_out(sample.objects);
}

void copy_paste_mirrored(Sample& sample, double share) {
  Sample mirrored = sample;
  flip_horizontally(mirrored);
  copy_paste_from(mirrored, sample, share);
}

}  // namespace marrow::loader
