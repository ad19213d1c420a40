#include "marrow/loader/augment/blend.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>

namespace marrow::loader {
namespace {

double draw_gamma(double shape, Random& random) {
  if (shape < 1) {
    const double boost = std::pow(1 - random.uniform(), 1 / shape);
    return draw_gamma(shape + 1, random) * boost;
  }
  const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = random.normal();
    const double root = 1 + c * x;
    const double u = 1 - random.uniform();
    if (root <= 0) continue;
    const double v = root * root * root;
    if (std::log(u) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
  }
}

Box<ImagePixels> as_float(const PixelRectangle& r) {
  return {static_cast<float>(r.x1), static_cast<float>(r.y1), static_cast<float>(r.x2),
          static_cast<float>(r.y2)};
}

// Of each box what the rectangle leaves: above it, below it, left of it, right of it.
std::vector<Box<ImagePixels>> without(const std::vector<Box<ImagePixels>>& boxes,
                                      const Box<ImagePixels>& hole) {
  std::vector<Box<ImagePixels>> parts;
  for (const Box<ImagePixels>& box : boxes) {
    if (intersection_area(box, hole) == 0) {
      parts.push_back(box);
      continue;
    }
    const float top = std::max(box.y1, hole.y1), bottom = std::min(box.y2, hole.y2);
    for (const Box<ImagePixels>& part : {Box<ImagePixels>{box.x1, box.y1, box.x2, top},
                                         {box.x1, bottom, box.x2, box.y2},
                                         {box.x1, top, std::max(box.x1, hole.x1), bottom},
                                         {std::min(box.x2, hole.x2), top, box.x2, bottom}})
      if (part.area() > 0) parts.push_back(part);
  }
  return parts;
}

}  // namespace

double draw_beta(double alpha, double beta, Random& random) {
  const double a = draw_gamma(alpha, random), b = draw_gamma(beta, random);
  return a + b > 0 ? a / (a + b) : 0.5;  // both can vanish for a tiny alpha
}

void mixup(Sample& sample, const Sample& other, double share) {
  assert(size_of(sample.image) == size_of(other.image) && sample.image.format() == other.image.format());
  const auto a = static_cast<float>(share), b = static_cast<float>(1 - share);
  image::with_sample_type(sample.image.bits(), [&]<class T>(T) {
    const size_t values = sample.image.row_bytes() / sizeof(T);
    for (int y = 0; y < sample.image.height(); ++y) {
      T* row = sample.image.samples<T>(y);
      const T* second = other.image.samples<T>(y);
      for (size_t i = 0; i < values; ++i)
        row[i] = static_cast<T>(static_cast<float>(row[i]) * a + static_cast<float>(second[i]) * b);
    }
  });
  sample.objects.insert(sample.objects.end(), other.objects.begin(), other.objects.end());
  sample.ignored.insert(sample.ignored.end(), other.ignored.begin(), other.ignored.end());
  even_out(sample.objects);
}

std::vector<PixelRectangle> draw_cutmix_rectangles(Size picture, Random& random) {
  std::vector<PixelRectangle> rectangles;
  for (int i = 0; i < kCutmixCandidates; ++i) {
    const double side = std::sqrt(1 - random.uniform());
    const int width = static_cast<int>(picture.width * side),
              height = static_cast<int>(picture.height * side);
    const int x = static_cast<int>(random.below(static_cast<uint64_t>(picture.width)));
    const int y = static_cast<int>(random.below(static_cast<uint64_t>(picture.height)));
    rectangles.push_back({std::max(x - width / 2, 0), std::max(y - height / 2, 0),
                          std::min(x + width / 2, picture.width), std::min(y + height / 2, picture.height)});
  }
  return rectangles;
}

void cutmix(Sample& sample, const Sample& other, std::span<const PixelRectangle> candidates) {
  const auto is_free = [&](const PixelRectangle& candidate) {
    const Box<ImagePixels> area = as_float(candidate);
    return area.area() > 0 && std::ranges::none_of(sample.objects, [&](const Object& object) {
             return intersection_area(area, object.box) > 0;
           });
  };
  const auto chosen = std::ranges::find_if(candidates, is_free);
  if (chosen != candidates.end()) paste_rectangle(sample, other, *chosen);
}

void paste_rectangle(Sample& sample, const Sample& other, const PixelRectangle& rectangle) {
  assert(size_of(sample.image) == size_of(other.image) && sample.image.format() == other.image.format());
  for (int y = rectangle.y1; y < rectangle.y2; ++y)
    std::memcpy(sample.image.pixel(rectangle.x1, y), other.image.pixel(rectangle.x1, y),
                static_cast<size_t>(rectangle.x2 - rectangle.x1) * sample.image.pixel_bytes());
  const Box<ImagePixels> area = as_float(rectangle);
  const bool outlines =
      std::ranges::any_of(other.objects, [](const Object& object) { return !object.polygon.empty(); });
  const float least = outlines ? kCutmixInsideOfOutlines : kCutmixInside;
  for (Object object : other.objects) {
    if (!(intersection_area(area, object.box) >= least * object.box.area())) continue;
    // In the rectangle's own coordinates its borders are those of an image.
    scale_and_shift(object, 1, 1, -area.x1, -area.y1);
    std::vector<Object> inside = {std::move(object)};
    clip_and_drop(inside, {rectangle.x2 - rectangle.x1, rectangle.y2 - rectangle.y1}, sample.task);
    if (inside.empty()) continue;
    scale_and_shift(inside.front(), 1, 1, area.x1, area.y1);
    sample.objects.push_back(std::move(inside.front()));
  }
  even_out(sample.objects);
  sample.ignored = without(sample.ignored, area);
  for (const Box<ImagePixels>& box : other.ignored)
    if (intersection_area(area, box) > 0)
      sample.ignored.push_back({std::max(box.x1, area.x1), std::max(box.y1, area.y1),
                                std::min(box.x2, area.x2), std::min(box.y2, area.y2)});
}

}  // namespace marrow::loader
