#include "marrow/track/optical_flow.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <opencv2/imgproc.hpp>

namespace marrow::track {
namespace {

constexpr int kWindow = FlowPyramid::kWindow;
constexpr int kRounds = 30;
constexpr float kStep = 0.01f;  // pixels below which a point stands still
// The smaller eigenvalue of the mean gradient matrix, in grey levels a pixel, squared: OpenCV's 1e-4 in its
// units.
constexpr float kFlat = 1e-4f * 1024;
constexpr float kScharr = 32;  // the sum of its kernel's weights on one side

std::vector<float> padded(const cv::Mat& pixels, int border, float divisor) {
  cv::Mat wide;
  cv::copyMakeBorder(pixels, wide, kWindow, kWindow, kWindow, kWindow, border);
  cv::Mat values;
  wide.convertTo(values, CV_32F, 1 / divisor);
  return {values.begin<float>(), values.end<float>()};
}

FlowPyramid::Level level_of(const cv::Mat& grey) {
  FlowPyramid::Level level{.width = grey.cols,
                           .height = grey.rows,
                           .stride = static_cast<size_t>(grey.cols) + 2 * size_t{kWindow}};
  cv::Mat gradient;
  level.grey = padded(grey, cv::BORDER_REFLECT_101, 1);
  cv::Scharr(grey, gradient, CV_16S, 1, 0);
  level.gradient_x = padded(gradient, cv::BORDER_CONSTANT, kScharr);
  cv::Scharr(grey, gradient, CV_16S, 0, 1);
  level.gradient_y = padded(gradient, cv::BORDER_CONSTANT, kScharr);
  return level;
}

// A window between the pixels: its upper left pixel, and the weights of that and its neighbours.
struct WindowPlace {
  bool inside = false;
  size_t first = 0;
  float w00 = 0, w01 = 0, w10 = 0, w11 = 0;

  WindowPlace(const FlowPyramid::Level& level, FlowPoint corner) {
    const float left = std::floor(corner.x), top = std::floor(corner.y);
    inside = left >= -kWindow && left < static_cast<float>(level.width) && top >= -kWindow &&
             top < static_cast<float>(level.height);
    if (!inside) return;
    const float x = corner.x - left, y = corner.y - top;
    first = level.place(static_cast<int>(left), static_cast<int>(top));
    w00 = (1 - x) * (1 - y);
    w01 = x * (1 - y);
    w10 = (1 - x) * y;
    w11 = x * y;
  }

  float sample(const float* row, size_t stride, size_t x) const {
    return w00 * row[x] + w01 * row[x + 1] + w10 * row[x + stride] + w11 * row[x + stride + 1];
  }
};

using WindowRow = std::array<float, kWindow>;
using Window = std::array<WindowRow, kWindow>;

void sample(const std::vector<float>& values, size_t stride, const WindowPlace& place, Window& window) {
  for (size_t y = 0; y < kWindow; ++y) {
    const float* row = values.data() + place.first + y * stride;
    for (size_t x = 0; x < kWindow; ++x) window[y][x] = place.sample(row, stride, x);
  }
}

float sum(const WindowRow& row) {
  float total = 0;
  for (const float value : row) total += value;
  return total;
}

// Sums over a window of products with the gradients, column by column so that the compiler makes vectors.
template <class Product>
float sum_of(const Product& product) {
  WindowRow columns = {};
  for (size_t y = 0; y < kWindow; ++y)
    for (size_t x = 0; x < kWindow; ++x) columns[x] += product(y, x);
  return sum(columns);
}

// One point on one level.
class Follower {
 public:
  Follower(const FlowPyramid::Level& before, const FlowPyramid::Level& after, FlowPoint point)
      : after_(after) {
    const WindowPlace place(before, {point.x - kHalf, point.y - kHalf});
    if (!place.inside) return;
    sample(before.grey, before.stride, place, grey_);
    sample(before.gradient_x, before.stride, place, x_);
    sample(before.gradient_y, before.stride, place, y_);
    xx_ = sum_of([&](size_t y, size_t x) { return x_[y][x] * x_[y][x]; });
    xy_ = sum_of([&](size_t y, size_t x) { return x_[y][x] * y_[y][x]; });
    yy_ = sum_of([&](size_t y, size_t x) { return y_[y][x] * y_[y][x]; });
    const float spread = std::sqrt((xx_ - yy_) * (xx_ - yy_) + 4 * xy_ * xy_);
    const float smaller = (xx_ + yy_ - spread) / (2 * kWindow * kWindow);
    textured_ = smaller >= kFlat && xx_ * yy_ - xy_ * xy_ > 0;
  }

  bool textured() const { return textured_; }

  // Improves the guess; false where it leaves the picture.
  bool follow(FlowPoint& guess) {
    const float determinant = xx_ * yy_ - xy_ * xy_;
    FlowPoint last;
    for (int round = 0; round < kRounds; ++round) {
      const WindowPlace place(after_, {guess.x - kHalf, guess.y - kHalf});
      if (!place.inside) return false;
      sample(after_.grey, after_.stride, place, now_);
      const float bx = sum_of([&](size_t y, size_t x) { return (now_[y][x] - grey_[y][x]) * x_[y][x]; });
      const float by = sum_of([&](size_t y, size_t x) { return (now_[y][x] - grey_[y][x]) * y_[y][x]; });
      const FlowPoint step = {(xy_ * by - yy_ * bx) / determinant, (xy_ * bx - xx_ * by) / determinant};
      guess.x += step.x;
      guess.y += step.y;
      if (step.x * step.x + step.y * step.y <= kStep * kStep) break;
      // To and fro: half way.
      if (round > 0 && std::abs(step.x + last.x) < kStep && std::abs(step.y + last.y) < kStep) {
        guess.x -= step.x / 2;
        guess.y -= step.y / 2;
        break;
      }
      last = step;
    }
    return true;
  }

 private:
  static constexpr float kHalf = (kWindow - 1) / 2.0f;

  const FlowPyramid::Level& after_;
  Window grey_, x_, y_, now_;
  float xx_ = 0, xy_ = 0, yy_ = 0;
  bool textured_ = false;
};

std::optional<FlowPoint> follow_point(const FlowPyramid& before, const FlowPyramid& after, FlowPoint point) {
  const size_t levels = before.levels().size();
  FlowPoint guess;
  for (size_t level = levels; level-- > 0;) {
    const float scale = std::ldexp(1.0f, -static_cast<int>(level));
    const FlowPoint here = {point.x * scale, point.y * scale};
    guess = level + 1 == levels ? here : FlowPoint{guess.x * 2, guess.y * 2};
    Follower follower(before.levels()[level], after.levels()[level], here);
    // What is flat or outside on a coarse level may be found on a finer one.
    const bool found = follower.textured() && follower.follow(guess);
    if (level == 0 && !found) return {};
  }
  return guess;
}

}  // namespace

FlowPyramid::FlowPyramid(const image::Image& grey) {
  cv::Mat pixels(grey.height(), grey.width(), CV_8U, const_cast<uint8_t*>(grey.row(0)), grey.row_bytes());
  levels_.push_back(level_of(pixels));
  while (levels_.size() < kLevels && (pixels.cols + 1) / 2 > kWindow && (pixels.rows + 1) / 2 > kWindow) {
    cv::Mat smaller;
    cv::pyrDown(pixels, smaller);
    pixels = smaller;
    levels_.push_back(level_of(pixels));
  }
}

std::vector<std::optional<FlowPoint>> follow_points(const FlowPyramid& before, const FlowPyramid& after,
                                                    std::span<const FlowPoint> points) {
  std::vector<std::optional<FlowPoint>> found;
  found.reserve(points.size());
  for (const FlowPoint& point : points) found.push_back(follow_point(before, after, point));
  return found;
}

}  // namespace marrow::track
