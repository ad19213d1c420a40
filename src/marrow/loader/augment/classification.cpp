#include "marrow/loader/augment/classification.h"

#include <algorithm>
#include <cmath>

#include "marrow/image/resize.h"
#include "marrow/loader/augment/flip.h"

namespace marrow::loader {
namespace {

constexpr int kTries = 10;

struct ShapeRange {
  double smallest_area, largest_area, smallest_aspect, largest_aspect;
};

std::optional<PixelPart> draw_rectangle(Size picture, const ShapeRange& range, Random& random) {
  const double area = static_cast<double>(picture.width) * picture.height;
  for (int i = 0; i < kTries; ++i) {
    const double wanted = area * random.uniform(range.smallest_area, range.largest_area);
    const double aspect =
        std::exp(random.uniform(std::log(range.smallest_aspect), std::log(range.largest_aspect)));
    const int width = static_cast<int>(std::nearbyint(std::sqrt(wanted * aspect)));
    const int height = static_cast<int>(std::nearbyint(std::sqrt(wanted / aspect)));
    const double left = random.uniform(), top = random.uniform();
    if (width < 1 || height < 1 || width > picture.width || height > picture.height) continue;
    return PixelPart{static_cast<int>(left * (picture.width - width + 1)),
                     static_cast<int>(top * (picture.height - height + 1)), width, height};
  }
  return std::nullopt;
}

}  // namespace

PixelPart draw_crop(Size picture, double smallest_area, Random& random) {
  constexpr double kSmallestAspect = 3.0 / 4, kLargestAspect = 4.0 / 3;
  const auto drawn = draw_rectangle(picture, {smallest_area, 1, kSmallestAspect, kLargestAspect}, random);
  if (drawn) return *drawn;
  const double aspect =
      std::clamp(static_cast<double>(picture.width) / picture.height, kSmallestAspect, kLargestAspect);
  const int width = std::clamp(static_cast<int>(std::nearbyint(picture.height * aspect)), 1, picture.width);
  const int height = std::clamp(static_cast<int>(std::nearbyint(picture.width / aspect)), 1, picture.height);
  return {(picture.width - width) / 2, (picture.height - height) / 2, width, height};
}

std::optional<PixelPart> draw_erasing(Size picture, Random& random) {
  return draw_rectangle(picture, {0.02, 0.33, 0.3, 3.3}, random);
}

image::Image augment_for_classifier(const image::Image& image, const ClassificationAugment& settings,
                                    const RandomKey& key, int size) {
  Random crop = key.at("crop");
  const PixelPart part = draw_crop(size_of(image), settings.smallest_area, crop);
  image::Image result =
      image::resize(image::copy_image(image.region(part.x, part.y, part.width, part.height)), size, size,
                    image::ResizeFilter::kAntialiasedBilinear);
  if (key.at("fliplr").uniform() < settings.fliplr) mirror_horizontally(result);
  if (key.at("flipud").uniform() < settings.flipud) mirror_vertically(result);
  Random operations = key.at("randaugment");
  apply_policy(result, settings.policy, operations);
  if (settings.colours) {
    Random changes = key.at("hsv");
    image::adjust_hsv(result, image::draw_hsv(*settings.colours, changes));
  }
  if (key.at("erase").uniform() < settings.erasing) {
    Random rectangle = key.at("erasing");
    if (const auto erased = draw_erasing(size_of(result), rectangle))
      for (int y = erased->y; y < erased->y + erased->height; ++y)
        std::fill_n(result.pixel(erased->x, y), static_cast<size_t>(erased->width) * result.pixel_bytes(),
                    uint8_t{0});
  }
  return result;
}

void smooth_target(int class_id, double label_smoothing, std::span<float> target) {
  std::ranges::fill(target, static_cast<float>(label_smoothing / static_cast<double>(target.size())));
  target[static_cast<size_t>(class_id)] += static_cast<float>(1 - label_smoothing);
}

BatchMix chosen_mix(const ClassificationAugment& settings, double uniform) {
  const double chosen = uniform * std::max(1.0, settings.mixup + settings.cutmix);
  if (chosen < settings.mixup) return BatchMix::kMixup;
  return chosen < settings.mixup + settings.cutmix ? BatchMix::kCutmix : BatchMix::kNone;
}

PixelPart draw_cutmix(Size picture, Random& random) {
  const double side = std::sqrt(1 - random.uniform());
  const auto along = [&](int length) {
    const double middle = std::floor(random.uniform() * length), half = side * length / 2;
    const int begin = static_cast<int>(std::max(middle - half, 0.0));
    const int end = static_cast<int>(std::min(middle + half, static_cast<double>(length)));
    return std::pair{begin, end - begin};
  };
  const auto [x, width] = along(picture.width);
  const auto [y, height] = along(picture.height);
  return {x, y, width, height};
}

template <class Sample>
double paste_rectangle(std::span<Sample> a, std::span<const Sample> b, Size picture, const PixelPart& part) {
  const int rows = static_cast<int>(a.size() / static_cast<size_t>(picture.width));
  for (int row = 0; row < rows; ++row) {
    const int y = row % picture.height;
    if (y < part.y || y >= part.y + part.height) continue;
    const auto first = static_cast<std::ptrdiff_t>(row) * picture.width + part.x;
    std::copy_n(b.begin() + first, part.width, a.begin() + first);
  }
  return 1 - static_cast<double>(part.width) * part.height /
                 (static_cast<double>(picture.width) * picture.height);
}
template double paste_rectangle(std::span<uint8_t>, std::span<const uint8_t>, Size, const PixelPart&);
template double paste_rectangle(std::span<int32_t>, std::span<const int32_t>, Size, const PixelPart&);

template <class Sample>
void mix_samples(std::span<Sample> a, std::span<const Sample> b, double share) {
  const auto first = static_cast<float>(share), second = static_cast<float>(1 - share);
  for (size_t i = 0; i < a.size(); ++i)
    a[i] = static_cast<Sample>(static_cast<float>(a[i]) * first + static_cast<float>(b[i]) * second + 0.5f);
}
template void mix_samples(std::span<uint8_t>, std::span<const uint8_t>, double);
template void mix_samples(std::span<int32_t>, std::span<const int32_t>, double);

void mix_targets(std::span<float> a, std::span<const float> b, double share) {
  for (size_t i = 0; i < a.size(); ++i)
    a[i] = static_cast<float>(share * static_cast<double>(a[i]) + (1 - share) * static_cast<double>(b[i]));
}

}  // namespace marrow::loader
