#include "marrow/image/scene.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "marrow/base/random.h"

namespace marrow::image {
namespace {

using Colour = std::array<int, 3>;

struct Shape2d {
  bool disc;
  double x, y, radius;  // centre and half size, in pixels
  Colour colour;

  bool covers(double px, double py) const {
    const double dx = px - x, dy = py - y;
    return disc ? dx * dx + dy * dy < radius * radius : std::max(dx * dx, dy * dy) < radius * radius;
  }
};

Colour random_colour(Random& random) {
  const auto level = [&] { return static_cast<int>(random.below(256)); };
  return {level(), level(), level()};
}

}  // namespace

Image draw_scene(int width, int height, uint64_t seed, double contrast) {
  constexpr int kShapes = 9;
  constexpr int kNoise = 13;  // grey levels, peak to peak
  constexpr int kGrey = 128;
  Random random(seed, "scene");
  const Colour top = random_colour(random), bottom = random_colour(random);
  std::array<Shape2d, kShapes> shapes;
  for (Shape2d& shape : shapes) {
    shape.disc = random.below(2) == 0;
    shape.x = random.uniform(0, width);
    shape.y = random.uniform(0, height);
    shape.radius = random.uniform(0.03, 0.2) * std::min(width, height);
    shape.colour = random_colour(random);
  }

  Image image(width, height);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      Colour colour;
      for (size_t c = 0; c < 3; ++c) colour[c] = top[c] + (bottom[c] - top[c]) * y / std::max(height - 1, 1);
      for (const Shape2d& shape : shapes)
        if (shape.covers(x, y)) colour = shape.colour;
      for (size_t c = 0; c < 3; ++c) {
        const int noise = static_cast<int>(random.below(kNoise)) - kNoise / 2;
        image.row(y)[3 * x + static_cast<int>(c)] = static_cast<uint8_t>(
            kGrey + std::lround(contrast * (std::clamp(colour[c] + noise, 0, 255) - kGrey)));
      }
    }
  return image;
}

}  // namespace marrow::image
