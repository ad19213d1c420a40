#include "marrow/detect/extras.h"

namespace marrow::detect {

DetectionExtras scaled(DetectionExtras extras, float x, float y) {
  for (Outline& outline : extras.outlines)
    for (Point<ImagePixels>& point : outline) point = {point.x * x, point.y * y};
  for (Keypoints& points : extras.keypoints)
    for (Keypoint<ImagePixels>& point : points) point = {point.x * x, point.y * y, point.visibility};
  for (RotatedBox<ImagePixels>& box : extras.rotated)
    box = {box.cx * x, box.cy * y, box.width * x, box.height * y, box.angle};
  extras.mask_place.ratio_x /= static_cast<double>(x);
  extras.mask_place.ratio_y /= static_cast<double>(y);
  return extras;
}

DetectionExtras chosen(const DetectionExtras& extras, std::span<const size_t> places) {
  const auto choose = [&]<class Entry>(const std::vector<Entry>& list) {
    std::vector<Entry> picked;
    if (!list.empty())
      for (const size_t place : places) picked.push_back(list.at(place));
    return picked;
  };
  return {choose(extras.masks),     extras.mask_size,  extras.mask_place,     choose(extras.outlines),
          choose(extras.keypoints), extras.visibility, choose(extras.rotated)};
}

std::vector<float> numbers_of(const PredictionColumn& column, int first, int count) {
  std::vector<float> numbers;
  numbers.reserve(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) numbers.push_back(column.row(first + i));
  return numbers;
}

std::vector<Keypoint<InputPixels>> keypoints_of(const PredictionColumn& column, int first, int count,
                                                int numbers) {
  std::vector<Keypoint<InputPixels>> points;
  for (int row = first; row + numbers <= first + count; row += numbers)
    points.push_back({column.row(row), column.row(row + 1), numbers == 3 ? column.row(row + 2) : 1});
  return points;
}

Keypoints to_image(std::span<const Keypoint<InputPixels>> points, const RatioPad& ratio_pad, Size image) {
  Keypoints moved;
  for (const Keypoint<InputPixels>& point : points) {
    const auto [x, y] = marrow::to_image(Point<InputPixels>{point.x, point.y}, ratio_pad, image);
    moved.push_back({x, y, point.visibility});
  }
  return moved;
}

Outline to_image(std::span<const Point<void>> outline, const RatioPad& ratio_pad, Size image) {
  Outline moved;
  for (const Point<void>& point : outline)
    moved.push_back(marrow::to_image(Point<InputPixels>{point.x, point.y}, ratio_pad, image));
  return moved;
}

}  // namespace marrow::detect
