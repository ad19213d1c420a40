#include "marrow/loader/augment/perspective.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "marrow/geometry/letterbox.h"
#include "marrow/outline/clipped.h"

namespace marrow::loader {
namespace {

using PixelPoint = Point<ImagePixels>;

using Matrix3f = std::array<float, 9>;

constexpr Matrix3f kIdentity = {1, 0, 0, 0, 1, 0, 0, 0, 1};

Matrix3f operator*(const Matrix3f& a, const Matrix3f& b) {
  Matrix3f product{};
  for (size_t row = 0; row < 3; ++row)
    for (size_t column = 0; column < 3; ++column)
      for (size_t k = 0; k < 3; ++k) product[row * 3 + column] += a[row * 3 + k] * b[k * 3 + column];
  return product;
}

double radians(double degrees) {
  return degrees * std::numbers::pi / 180.0;
}

struct Moved {
  float x, y;
};

Moved move(const image::Matrix3& matrix, float x, float y, bool divide) {
  const auto row = [&](size_t i) {
    return static_cast<float>(matrix[i]) * x + static_cast<float>(matrix[i + 1]) * y +
           static_cast<float>(matrix[i + 2]);
  };
  if (!divide) return {row(0), row(3)};
  return {row(0) / row(6), row(3) / row(6)};
}

}  // namespace

PerspectiveDraws draw_perspective(const PerspectiveRange& range, Random& random) {
  const auto either_way = [&](double limit) { return random.uniform(-limit, limit); };
  PerspectiveDraws draws;
  draws.perspective_x = either_way(range.perspective);
  draws.perspective_y = either_way(range.perspective);
  draws.degrees = either_way(range.degrees);
  draws.scale = random.uniform(range.zoom.first, range.zoom.second);
  draws.shear_x = either_way(range.shear);
  draws.shear_y = either_way(range.shear);
  draws.translate_x = random.uniform(0.5 - range.translate, 0.5 + range.translate);
  draws.translate_y = random.uniform(0.5 - range.translate, 0.5 + range.translate);
  return draws;
}

// M = T S R P C, applied from the right.
image::Matrix3 perspective_matrix(const PerspectiveDraws& draws, Size input, Size output) {
  Matrix3f centre = kIdentity;
  centre[2] = static_cast<float>(-input.width / 2.0);
  centre[5] = static_cast<float>(-input.height / 2.0);
  Matrix3f perspective = kIdentity;
  perspective[6] = static_cast<float>(draws.perspective_x);
  perspective[7] = static_cast<float>(draws.perspective_y);
  const double cosine = draws.scale * std::cos(radians(draws.degrees));
  const double sine = draws.scale * std::sin(radians(draws.degrees));
  Matrix3f rotation = kIdentity;
  rotation[0] = rotation[4] = static_cast<float>(cosine);
  rotation[1] = static_cast<float>(sine);
  rotation[3] = static_cast<float>(-sine);
  Matrix3f shear = kIdentity;
  shear[1] = static_cast<float>(std::tan(radians(draws.shear_x)));
  shear[3] = static_cast<float>(std::tan(radians(draws.shear_y)));
  Matrix3f translation = kIdentity;
  translation[2] = static_cast<float>(draws.translate_x * output.width);
  translation[5] = static_cast<float>(draws.translate_y * output.height);
  const Matrix3f product = translation * shear * rotation * perspective * centre;
  image::Matrix3 matrix;
  std::ranges::copy(product, matrix.begin());
  return matrix;
}

Object warp_object(const Object& object, const image::Matrix3& matrix, bool divide, Size output, Task task) {
  Object moved;
  moved.class_id = object.class_id;
  if (object.polygon.empty()) {
    const auto& [x1, y1, x2, y2] = object.box;
    std::vector<PixelPoint> corners;
    for (const auto& [x, y] :
         {PixelPoint{x1, y1}, PixelPoint{x2, y2}, PixelPoint{x1, y2}, PixelPoint{x2, y1}}) {
      const Moved p = move(matrix, x, y, divide);
      corners.push_back({p.x, p.y});
    }
    moved.box = outline::box_around(corners);
  } else {
    for (const PixelPoint& point : object.polygon) {
      const Moved p = move(matrix, point.x, point.y, true);
      moved.polygon.push_back({p.x, p.y});
    }
    moved.box = outline::clipped_bounds(moved.polygon, output);
    const auto& [x1, y1, x2, y2] = moved.box;
    if (task != Task::kObb)
      for (PixelPoint& p : moved.polygon)
        p = {std::isnan(p.x) ? x1 : std::clamp(p.x, x1, x2), std::isnan(p.y) ? y1 : std::clamp(p.y, y1, y2)};
  }
  for (const Keypoint<ImagePixels>& point : object.keypoints) {
    const Moved p = move(matrix, point.x, point.y, true);
    moved.keypoints.push_back({p.x, p.y, point.visibility});
  }
  clip(moved, output, task);
  return moved;
}

Box<ImagePixels> warp_region(const Box<ImagePixels>& box, const image::Matrix3& matrix, bool divide,
                             Size output) {
  std::vector<PixelPoint> points;
  int behind = 0;
  for (const auto& [x, y] : {PixelPoint{box.x1, box.y1}, PixelPoint{box.x2, box.y2},
                             PixelPoint{box.x1, box.y2}, PixelPoint{box.x2, box.y1}}) {
    const Moved p = move(matrix, x, y, divide);
    points.push_back({p.x, p.y});
    behind += divide && !(static_cast<float>(matrix[6]) * x + static_cast<float>(matrix[7]) * y +
                              static_cast<float>(matrix[8]) >
                          0);
  }
  if (behind != 0 && behind != 4)
    return {0, 0, static_cast<float>(output.width), static_cast<float>(output.height)};
  return clipped(outline::box_around(points), output);
}

bool is_kept(const Box<ImagePixels>& before, const Box<ImagePixels>& after, double scale, float kept_area) {
  constexpr float kTiny = 1e-16f;
  const auto s = static_cast<float>(scale);
  const float width = after.width(), height = after.height();
  const float aspect = std::max(width / (height + kTiny), height / (width + kTiny));
  const float area_before = (before.width() * s) * (before.height() * s);
  return width > kSmallestKeptSide && height > kSmallestKeptSide &&
         width * height / (area_before + kTiny) > kept_area && aspect < kLargestKeptAspect;
}

Sample random_perspective(const Sample& sample, const PerspectiveDraws& draws, Size output) {
  const Size input = size_of(sample.image);
  const image::Matrix3 matrix = perspective_matrix(draws, input, output);
  const bool divide = draws.perspective_x != 0 || draws.perspective_y != 0;
  Sample result;
  result.task = sample.task;
  if (input == output && std::ranges::equal(matrix, kIdentity)) {
    result.image = sample.image;
  } else {
    result.image = image::Image(output.width, output.height, 0, sample.image.format());
    (divide ? image::warp_perspective : image::warp_affine)(sample.image.pixels(), matrix,
                                                            result.image.pixels(), kLetterboxGrey);
  }
  const bool outlines =
      std::ranges::any_of(sample.objects, [](const Object& object) { return !object.polygon.empty(); });
  for (const Object& object : sample.objects) {
    Object moved = warp_object(object, matrix, divide, output, sample.task);
    if (is_kept(object.box, moved.box, draws.scale, outlines ? kKeptAreaOfOutlines : kKeptArea))
      result.objects.push_back(std::move(moved));
  }
  for (const Box<ImagePixels>& box : sample.ignored)
    result.ignored.push_back(warp_region(box, matrix, divide, output));
  clip_and_drop(result.ignored, output);
  return result;
}

}  // namespace marrow::loader
