#include "marrow/loader/tiled_images.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "marrow/base/counted.h"
#include "marrow/base/error.h"
#include "marrow/data/outline_parts.h"
#include "marrow/loader/augment/sample.h"
#include "marrow/outline/clipped.h"

namespace marrow::loader {
namespace {

using TileBox = Box<ImagePixels, double>;  // in pixels of the tile

TileBox in_tile(const data::Label& label, const data::LabelledImage& image, const Tile& tile) {
  const Box<Normalised, double> box = label.box.corner_form();
  return {box.x1 * image.width - tile.x, box.y1 * image.height - tile.y, box.x2 * image.width - tile.x,
          box.y2 * image.height - tile.y};
}

std::vector<Point<ImagePixels>> in_tile(const data::Polygon& polygon, const data::LabelledImage& image,
                                        const Tile& tile) {
  std::vector<Point<ImagePixels>> points;
  for (const auto& [x, y] : polygon)
    points.push_back(
        {static_cast<float>(x * image.width - tile.x), static_cast<float>(y * image.height - tile.y)});
  return points;
}

// Nothing where no area is left.
std::optional<TileBox> cut(const TileBox& box, Size tile) {
  const TileBox part = {std::max(box.x1, 0.0), std::max(box.y1, 0.0), std::min(box.x2, double(tile.width)),
                        std::min(box.y2, double(tile.height))};
  return part.x2 > part.x1 && part.y2 > part.y1 ? std::optional(part) : std::nullopt;
}

data::Label label_in(const TileBox& box, Size tile, int class_id) {
  return {class_id, data::centred({box.x1 / tile.width, box.y1 / tile.height, box.x2 / tile.width,
                                   box.y2 / tile.height})};
}

data::Polygon polygon_in(const std::vector<Point<ImagePixels>>& points, Size tile) {
  data::Polygon polygon;
  for (const auto& [x, y] : points)
    polygon.push_back({static_cast<double>(x) / tile.width, static_cast<double>(y) / tile.height});
  return polygon;
}

void add_keypoints(const data::LabelledImage& image, size_t label, const Tile& tile,
                   std::vector<data::LabelKeypoint>& keypoints) {
  const size_t each = image.keypoints.size() / image.labels.size();
  for (size_t k = label * each; k < (label + 1) * each; ++k) {
    const data::LabelKeypoint& point = image.keypoints[k];
    const double x = (point.x * image.width - tile.x) / tile.size.width;
    const double y = (point.y * image.height - tile.y) / tile.size.height;
    const bool is_inside = x >= 0 && x <= 1 && y >= 0 && y <= 1;
    keypoints.push_back(is_inside ? data::LabelKeypoint{x, y, point.visibility} : data::LabelKeypoint{});
  }
}

}  // namespace

TileLabels labels_of_tile(const data::LabelledImage& image, const Tile& tile, Task task) {
  TileLabels result;
  const Size size = tile.size;
  if (size == Size{image.width, image.height}) {
    result.image = image;
    for (size_t i = 0; i < image.labels.size(); ++i) result.objects.push_back(i);
    return result;
  }
  result.image.path = image.path;
  result.image.width = size.width;
  result.image.height = size.height;
  constexpr double kRounding = 1e-4;  // of outlines, in single precision
  for (size_t i = 0; i < image.labels.size(); ++i) {
    const data::Label& label = image.labels[i];
    const TileBox whole = in_tile(label, image, tile);
    std::optional<TileBox> part = cut(whole, size);
    if (!part) continue;
    double share = part->area() / whole.area();
    std::vector<Point<ImagePixels>> outline;
    if (!image.polygons.empty()) {
      const std::vector<Point<ImagePixels>> all = in_tile(data::joined_parts(image, i), image, tile);
      outline = outline::clip_polygon(all, size);
      if (outline.empty()) continue;
      if (const double area = std::abs(outline::signed_area(all)); area > 0)
        share = std::abs(outline::signed_area(outline)) / area;
      const auto [x1, y1, x2, y2] = outline::box_around(outline);
      part = cut({x1, y1, x2, y2}, size);
      if (!part) continue;
      if (task == Task::kObb) outline = all;
    }
    const data::Label piece = label_in(*part, size, label.class_id);
    if (share < kLeastShare - kRounding) {
      result.image.ignored.push_back({{data::kIgnoreClass, piece.box}, data::IgnoredLabel::Reason::kClass});
      continue;
    }
    result.objects.push_back(i);
    result.image.labels.push_back(piece);
    if (!image.polygons.empty()) result.image.polygons.push_back(polygon_in(outline, size));
    add_keypoints(image, i, tile, result.image.keypoints);
  }
  for (const data::IgnoredLabel& ignored : image.ignored)
    if (const std::optional<TileBox> part = cut(in_tile(ignored.label, image, tile), size))
      result.image.ignored.push_back({label_in(*part, size, ignored.label.class_id), ignored.reason});
  return result;
}

TiledImages cut_into_tiles(std::vector<data::LabelledImage> images, const TileOptions& options, Task task) {
  int64_t count = 0;
  for (const data::LabelledImage& image : images) count += tile_count({image.width, image.height}, options);
  if (count > kMostTiles)
    throw Error(ErrorKind::kUsage,
                fmt::format("tiles of {} px, overlap {}: {} of {}; at most {} are held in "
                            "memory, so they must be larger",
                            options.side, options.overlap, count,
                            counted(static_cast<int64_t>(images.size()), "image"), kMostTiles));
  TiledImages result;
  for (size_t i = 0; i < images.size(); ++i) {
    const data::LabelledImage& image = images[i];
    std::vector<bool> found(image.labels.size());
    for (const Tile& tile : tiles_of({image.width, image.height}, options)) {
      TileLabels in = labels_of_tile(image, tile, task);
      for (const size_t number : in.objects) found[number] = true;
      result.empty += in.image.labels.empty();
      result.tiles.push_back(std::move(in.image));
      result.places.push_back({i, tile});
    }
    result.lost += std::ranges::count(found, false);
  }
  result.whole = std::move(images);
  return result;
}

}  // namespace marrow::loader
