#include "marrow/loss/objects.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "marrow/base/error.h"

namespace marrow::loss {
namespace {

void check_shape(const Tensor& rows, int64_t columns, std::string_view what) {
  if (rows.dtype() != DType::kFloat32 || rows.shape().size() != 2 || rows.dim(1) != columns)
    throw Error(ErrorKind::kShape, fmt::format("{} are {} of {}; the loss wants (rows, {}) of F32", what,
                                               to_string(rows.shape()), dtype_name(rows.dtype()), columns));
}

// A whole number below `limit`, without its fraction.
bool is_index(float value, int64_t limit) {
  const double whole = std::trunc(static_cast<double>(value));
  return whole >= 0 && whole < static_cast<double>(limit);
}

// A turned object with a side below 2 pixels.
bool is_tiny(const float* row, double width, double height) {
  constexpr double kSmallestSide = 2;
  return row[4] * static_cast<float>(width) < kSmallestSide ||
         row[5] * static_cast<float>(height) < kSmallestSide;
}

BoxXyxy to_pixels(const float* cxcywh, float width, float height) {
  const float cx = cxcywh[0] * width, cy = cxcywh[1] * height;
  const float half_width = cxcywh[2] * width / 2, half_height = cxcywh[3] * height / 2;
  return {cx - half_width, cy - half_height, cx + half_width, cy + half_height};
}

// The image is in the first column, a class in the second where there are more than 5, the box behind.
Objects group(const Tensor& rows, int64_t images, double width, double height, std::string_view what) {
  const std::span<const float> values = rows.values();
  const int64_t count = rows.dim(0), columns = rows.dim(1);
  const bool turned = columns == 7;
  Objects objects;
  objects.first.assign(static_cast<size_t>(images) + 1, 0);
  std::vector<int64_t> taken;  // rows
  for (int64_t t = 0; t < count; ++t) {
    const float* row = values.data() + t * columns;
    if (!is_index(row[0], images))
      throw Error(ErrorKind::kShape,
                  fmt::format("{} {}: image {} of a batch of {}", what, t, row[0], images));
    if (turned && is_tiny(row, width, height)) continue;
    taken.push_back(t);
    ++objects.first[static_cast<size_t>(row[0]) + 1];
  }
  for (size_t i = 1; i < objects.first.size(); ++i) objects.first[i] += objects.first[i - 1];
  objects.labels.assign(taken.size(), 0);
  objects.rows.resize(taken.size());
  if (turned)
    objects.turned.resize(taken.size());
  else
    objects.boxes.resize(taken.size());
  std::vector<int64_t> next = objects.first;
  const auto w = static_cast<float>(width), h = static_cast<float>(height);
  for (const int64_t t : taken) {
    const float* row = values.data() + t * columns;
    const auto slot = static_cast<size_t>(next[static_cast<size_t>(row[0])]++);
    objects.rows[slot] = t;
    if (columns > 5) objects.labels[slot] = static_cast<int64_t>(row[1]);
    const float* box = row + (columns > 5 ? 2 : 1);
    if (turned)
      objects.turned[slot] = {box[0] * w, box[1] * h, box[2] * w, box[3] * h, box[4]};
    else
      objects.boxes[slot] = to_pixels(box, w, h);
  }
  return objects;
}

void check_labels(const Tensor& rows, int64_t classes) {
  for (int64_t t = 0; t < rows.dim(0); ++t)
    if (const float label = rows.values()[static_cast<size_t>(rows.dim(1) * t + 1)];
        !is_index(label, classes))
      throw Error(ErrorKind::kShape,
                  fmt::format("target {}: class {}, but the model has {} classes", t, label, classes));
}

}  // namespace

bool Objects::valid(int64_t object) const {
  if (!turned.empty()) {
    const TurnedBox& box = turned[static_cast<size_t>(object)];
    return box.cx + box.cy + box.width + box.height + box.angle > 0;
  }
  const BoxXyxy& box = boxes[static_cast<size_t>(object)];
  return box[0] + box[1] + box[2] + box[3] > 0;
}

Objects group_objects(const Tensor& rows, int64_t images, int64_t classes, double width, double height) {
  check_shape(rows, 6, "the targets");
  check_labels(rows, classes);
  return group(rows, images, width, height, "target");
}

Objects group_turned_objects(const Tensor& rows, int64_t images, int64_t classes, double width,
                             double height) {
  check_shape(rows, 7, "the targets of turned boxes");
  check_labels(rows, classes);
  return group(rows, images, width, height, "target");
}

Objects group_regions(const Tensor& rows, int64_t images, double width, double height) {
  if (!rows.defined()) return group(Tensor({0, 5}), images, width, height, "region");
  check_shape(rows, 5, "the regions to ignore");
  return group(rows, images, width, height, "region");
}

}  // namespace marrow::loss
