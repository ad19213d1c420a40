// Outlines for a dataset of stained cells that has boxes alone, so that there are polygons on photographs to
// train on: BCCD for docs/results.md.
//
//   cmake --preset release -DMARROW_BENCH=ON && cmake --build build/release --target cell_outlines
//   build/release/bench/cell_outlines bccd/data.yaml cells      (the dataset; the folder of the new one)
//
// A stained cell takes green light away. In and around each box Otsu's threshold (1979) parts dark green from
// bright; the cell is the largest dark part inside the ellipse that a slightly larger box encloses, and its
// outline the convex hull of that part, since the middle of a red cell is pale. Where the part fills too
// little of the box, the outline is the ellipse in the box; how many are such is said. No person has drawn
// any of these outlines: what is learned is the rule, and cells that overlap are parted by their boxes alone.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "marrow/base/error.h"
#include "marrow/data/dataset_split.h"
#include "marrow/data/tools/write_dataset.h"
#include "marrow/image/decode.h"
#include "marrow/outline/clipped.h"
#include "marrow/outline/raster.h"

namespace marrow {
namespace {

constexpr double kAround = 0.2, kSlightly = 1.08;      // of the box's sides
constexpr double kLeastSide = 0.7, kLeastArea = 0.45;  // of the box's sides, of its ellipse
using Contour = std::vector<Point<ImagePixels>>;

// The level up to which numbers are of the darker kind.
int otsu_threshold(const std::array<int64_t, 256>& histogram) {
  double all = 0, sum = 0;
  for (int level = 0; level < 256; ++level) {
    all += static_cast<double>(histogram[static_cast<size_t>(level)]);
    sum += static_cast<double>(histogram[static_cast<size_t>(level)]) * level;
  }
  double below = 0, sum_below = 0, best = -1;
  int threshold = 0;
  for (int level = 0; level < 255; ++level) {
    below += static_cast<double>(histogram[static_cast<size_t>(level)]);
    sum_below += static_cast<double>(histogram[static_cast<size_t>(level)]) * level;
    if (below == 0 || below == all) continue;
    const double apart = sum_below / below - (sum - sum_below) / (all - below);
    const double between = below * (all - below) * apart * apart;
    if (between > best) {
      best = between;
      threshold = level;
    }
  }
  return threshold;
}

Contour ellipse_in(const Box<ImagePixels, double>& box) {
  constexpr int kPoints = 48;
  Contour contour;
  for (int i = 0; i < kPoints; ++i) {
    const double angle = 2 * std::numbers::pi * i / kPoints;
    contour.push_back({static_cast<float>((box.x1 + box.x2) / 2 + box.width() / 2 * std::cos(angle)),
                       static_cast<float>((box.y1 + box.y2) / 2 + box.height() / 2 * std::sin(angle))});
  }
  return contour;
}

// Empty where the rule finds no cell.
Contour cell_in(const image::Image& image, const Box<ImagePixels, double>& box) {
  const auto clamp = [](double value, int limit) {
    return static_cast<int>(std::clamp(value, 0.0, double(limit)));
  };
  const double margin_x = kAround * box.width(), margin_y = kAround * box.height();
  const int left = clamp(box.x1 - margin_x, image.width()), right = clamp(box.x2 + margin_x, image.width());
  const int top = clamp(box.y1 - margin_y, image.height()), bottom = clamp(box.y2 + margin_y, image.height());
  std::array<int64_t, 256> histogram = {};
  for (int y = top; y < bottom; ++y)
    for (int x = left; x < right; ++x) ++histogram[image.pixel(x, y)[1]];
  const int threshold = otsu_threshold(histogram);
  Mask mask({image.width(), image.height()});
  const double cx = (box.x1 + box.x2) / 2, cy = (box.y1 + box.y2) / 2;
  for (int y = clamp(box.y1, image.height()); y < clamp(std::ceil(box.y2), image.height()); ++y)
    for (int x = clamp(box.x1, image.width()); x < clamp(std::ceil(box.x2), image.width()); ++x) {
      const double u = (x + 0.5 - cx) / (box.width() / 2 * kSlightly),
                   v = (y + 0.5 - cy) / (box.height() / 2 * kSlightly);
      mask.at(x, y) = u * u + v * v <= 1 && image.pixel(x, y)[1] <= threshold;
    }
  Contour largest;
  MaskPart cell;
  int64_t most = 0;
  for (const Contour& part : outline::parts_of(mask)) {
    MaskPart filled = trimmed(outline::fill(part, mask.size));
    if (const int64_t area = filled.mask.area(); area > most) {
      most = area;
      largest = part;
      cell = std::move(filled);
    }
  }
  const double ellipse = std::numbers::pi / 4 * box.width() * box.height();
  const bool is_cell = cell.mask.size.width >= kLeastSide * box.width() &&
                       cell.mask.size.height >= kLeastSide * box.height() &&
                       static_cast<double>(most) >= kLeastArea * ellipse;
  if (!is_cell) return {};
  Contour hull = outline::convex_hull(largest);
  for (Point<ImagePixels>& point : hull) point = {point.x + 0.5F, point.y + 0.5F};  // middles of pixels
  return hull;
}

void run(const std::string& from, const std::string& to) {
  const data::Dataset dataset = data::read_dataset(from);
  std::vector<data::NewSplit> splits;
  std::vector<std::array<int64_t, 2>> counts(dataset.names.size());  // found, ellipses
  for (const data::Split& split : dataset.splits) {
    data::NewSplit made = {split.name, data::load_split(dataset, split.name, {.use_cache = false}).images};
    for (data::LabelledImage& labelled : made.images) {
      const image::Image image = image::decode_image_file(labelled.path).image;
      labelled.polygons.clear();
      labelled.parts.clear();
      for (const data::Label& label : labelled.labels) {
        const Box<ImagePixels, double> box = data::pixel_box(label, labelled).corner_form();
        Contour contour = cell_in(image, box);
        ++counts.at(static_cast<size_t>(label.class_id))[contour.empty()];
        if (contour.empty()) contour = ellipse_in(box);
        data::Polygon& polygon = labelled.polygons.emplace_back();
        for (const auto& [x, y] : contour)
          polygon.push_back({std::clamp(double{x} / labelled.width, 0.0, 1.0),
                             std::clamp(double{y} / labelled.height, 0.0, 1.0)});
      }
    }
    splits.push_back(std::move(made));
  }
  data::write_dataset(to, dataset.names, std::move(splits), dataset.reading, {.task = Task::kSegment});
  for (size_t c = 0; c < counts.size(); ++c)
    fmt::print("{}: {} outlines by colour, {} ellipses\n", dataset.names[c], counts[c][0], counts[c][1]);
}

}  // namespace
}  // namespace marrow

int main(int count, char** words) {
  if (count != 3) {
    fmt::print(stderr, "usage: cell_outlines DATA OUT\n");
    return 2;
  }
  try {
    marrow::run(words[1], words[2]);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
