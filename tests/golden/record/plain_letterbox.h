// Letterbox, rectangular batches and bilinear interpolation by their formulas.
#pragma once

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "record.h"

namespace marrow::golden {

struct Extent {
  int h, w;
};
inline json pair(Extent extent) {
  return {extent.h, extent.w};
}

inline int round_half_even(double x) {
  return static_cast<int>(std::nearbyint(x));
}

struct Placed {
  Extent resized{};
  int top = 0, bottom = 0, left = 0, right = 0;
};

struct Mode {
  bool minimum = false, scale_up = true, fill = false, center = true;
  int stride = 32;
};

// The image is scaled by the smaller ratio; what is missing is split between both sides, an odd pixel after.
inline Placed place(Extent in, Extent target, const Mode& mode) {
  double ratio = std::min(static_cast<double>(target.h) / in.h, static_cast<double>(target.w) / in.w);
  if (!mode.scale_up) ratio = std::min(ratio, 1.0);
  Placed placed;
  placed.resized = {round_half_even(in.h * ratio), round_half_even(in.w * ratio)};
  double high = target.h - placed.resized.h, wide = target.w - placed.resized.w;
  if (mode.minimum) {
    high = std::fmod(high, mode.stride);
    wide = std::fmod(wide, mode.stride);
  } else if (mode.fill) {
    placed.resized = target;
    high = wide = 0;
  }
  if (mode.center) {
    high /= 2;
    wide /= 2;
    placed.top = round_half_even(high - 0.1);
    placed.left = round_half_even(wide - 0.1);
  }
  placed.bottom = round_half_even(high + 0.1);
  placed.right = round_half_even(wide + 0.1);
  return placed;
}

inline void add_placed(json& row, const Placed& placed) {
  row["resized"] = pair(placed.resized);
  row["top"] = placed.top;
  row["bottom"] = placed.bottom;
  row["left"] = placed.left;
  row["right"] = placed.right;
}

// As a dataset loads an image: its longer side becomes `size`.
inline Extent loaded(Extent in, int size) {
  const double ratio = static_cast<double>(size) / std::max(in.h, in.w);
  return {std::min(static_cast<int>(std::ceil(in.h * ratio)), size),
          std::min(static_cast<int>(std::ceil(in.w * ratio)), size)};
}

// Sorted by height over width; each batch has the smallest shape that holds all of it.
inline json plan(const std::vector<Extent>& images, int size, int batch, double pad) {
  constexpr int kStride = 32;
  const auto aspect = [&](size_t i) { return static_cast<double>(images[i].h) / images[i].w; };
  std::vector<size_t> order(images.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, {}, aspect);
  json result = {{"shapes_hw", json::array()},
                 {"batch", batch},
                 {"imgsz", size},
                 {"stride", kStride},
                 {"pad", pad},
                 {"order", order},
                 {"batch_shapes_hw", json::array()},
                 {"images", json::array()}};
  for (const Extent image : images) result["shapes_hw"].push_back(pair(image));
  for (size_t first = 0; first < order.size(); first += static_cast<size_t>(batch)) {
    const size_t end = std::min(order.size(), first + static_cast<size_t>(batch));
    const double low = aspect(order[first]), high = aspect(order[end - 1]);
    const double h = high < 1 ? high : 1, w = low > 1 ? 1 / low : 1;
    const auto side = [&](double ratio) {
      return static_cast<int>(std::ceil(ratio * size / kStride + pad)) * kStride;
    };
    const Extent shape{side(h), side(w)};
    result["batch_shapes_hw"].push_back(pair(shape));
    for (size_t i = first; i < end; ++i) {
      const Extent image = images[order[i]], small = loaded(image, size);
      const Placed placed = place(small, shape, {.scale_up = false});
      json row = {{"orig_index", order[i]},
                  {"ori_hw", pair(image)},
                  {"loaded_hw", pair(small)},
                  {"batch_hw", pair(shape)}};
      add_placed(row, placed);
      row["ratio_pad"] = {{static_cast<double>(small.h) / image.h, static_cast<double>(small.w) / image.w},
                          {placed.left, placed.top}};
      result["images"].push_back(row);
    }
  }
  return result;
}

struct Pixels {
  Extent extent;
  std::vector<double> values;  // three a pixel

  double& at(int y, int x, int c) { return values[static_cast<size_t>((y * extent.w + x) * 3 + c)]; }
};

inline Pixels blank(Extent extent, double grey) {
  return {extent, std::vector<double>(static_cast<size_t>(extent.h * extent.w * 3), grey)};
}

// Bilinear, pixel centres at halves, the border repeated.
inline Pixels resized(Pixels from, Extent to) {
  Pixels out = blank(to, 0);
  const auto source = [](int i, int n_to, int n_from) { return (i + 0.5) * n_from / n_to - 0.5; };
  for (int y = 0; y < to.h; ++y)
    for (int x = 0; x < to.w; ++x)
      for (int c = 0; c < 3; ++c) {
        const double sy = source(y, to.h, from.extent.h), sx = source(x, to.w, from.extent.w);
        double sum = 0;
        for (const int dy : {0, 1})
          for (const int dx : {0, 1}) {
            const double fy = sy - std::floor(sy), fx = sx - std::floor(sx);
            sum += (dy == 1 ? fy : 1 - fy) * (dx == 1 ? fx : 1 - fx) *
                   from.at(std::clamp(static_cast<int>(std::floor(sy)) + dy, 0, from.extent.h - 1),
                           std::clamp(static_cast<int>(std::floor(sx)) + dx, 0, from.extent.w - 1), c);
          }
        if (sum != std::floor(sum)) throw std::logic_error("the scale leaves a fraction");
        out.at(y, x, c) = sum;
      }
  return out;
}

inline Pixels boxed(const Pixels& image, Extent target, const Mode& mode) {
  const Placed placed = place(image.extent, target, mode);
  Pixels inner = resized(image, placed.resized);
  Pixels out = blank(
      {placed.resized.h + placed.top + placed.bottom, placed.resized.w + placed.left + placed.right}, 114);
  for (int y = 0; y < placed.resized.h; ++y)
    for (int x = 0; x < placed.resized.w; ++x)
      for (int c = 0; c < 3; ++c) out.at(y + placed.top, x + placed.left, c) = inner.at(y, x, c);
  return out;
}

}  // namespace marrow::golden
