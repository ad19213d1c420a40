#include "marrow/train/multi_scale.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "marrow/base/random_key.h"

namespace marrow::train {
namespace {

// The two numbers of a line between which a new one lies.
struct Neighbours {
  int64_t first = 0, second = 0;
  float first_share = 1, second_share = 0;

  // Multiplied and added with one rounding, and the step below in single precision: PyTorch's numbers.
  float between(float a, float b) const { return std::fma(a, first_share, b * second_share); }
};

std::vector<Neighbours> neighbours(int64_t from, int64_t to) {
  const float step = static_cast<float>(from) / static_cast<float>(to);
  std::vector<Neighbours> all;
  for (int64_t i = 0; i < to; ++i) {
    const double at = std::max(step * (static_cast<double>(i) + 0.5) - 0.5, 0.0);
    const int64_t first = std::min(static_cast<int64_t>(at), from - 1);
    const auto share = static_cast<float>(std::min(at - static_cast<double>(first), 1.0));
    all.push_back({first, std::min(first + 1, from - 1), 1 - share, share});
  }
  return all;
}

// The rows of a plane at their new width, each made once while it is wanted.
class WidenedRows {
 public:
  WidenedRows(const float* plane, int64_t width, const std::vector<Neighbours>& columns)
      : plane_(plane), width_(width), columns_(columns) {
    for (std::vector<float>& row : rows_) row.resize(columns.size());
  }

  // Valid until the next row but one is asked for.
  const float* row(int64_t y) {
    std::vector<float>& row = rows_[static_cast<size_t>(y % 2)];
    if (std::exchange(made_[static_cast<size_t>(y % 2)], y) == y) return row.data();
    const float* src = plane_ + y * width_;
    for (size_t x = 0; x < row.size(); ++x)
      row[x] = columns_[x].between(src[columns_[x].first], src[columns_[x].second]);
    return row.data();
  }

 private:
  const float* plane_;
  int64_t width_;
  const std::vector<Neighbours>& columns_;
  std::array<std::vector<float>, 2> rows_;
  std::array<int64_t, 2> made_ = {-1, -1};
};

}  // namespace

int draw_image_size(int image_size, double share, int stride, uint64_t seed, int64_t epoch, int64_t batch) {
  Random random = RandomKey{.seed = seed, .epoch = epoch, .position = batch}.at("image size");
  const int low = std::max(stride, static_cast<int>(image_size * (1 - share)));
  const int high = static_cast<int>(image_size * (1 + share) + stride);
  const int drawn = low + static_cast<int>(random.below(static_cast<uint64_t>(high - low)));
  return std::max(drawn / stride * stride, stride);
}

Tensor resize_batch(const Tensor& images, const InputFormat& format, int size, int stride,
                    cpu::ThreadPool& threads) {
  const int64_t channels = images.dim(1), old_height = images.dim(2), old_width = images.dim(3);
  const double factor = size / static_cast<double>(std::max(old_height, old_width));
  const auto side = [&](int64_t old) {
    return static_cast<int64_t>(std::ceil(static_cast<double>(old) * factor / stride)) * stride;
  };
  const int64_t height = side(old_height), width = side(old_width);
  if (height == old_height && width == old_width) return images;

  const Tensor samples = images.to_float();
  Tensor resized({images.dim(0), channels, height, width});
  const std::vector<Neighbours> rows = neighbours(old_height, height), columns = neighbours(old_width, width);
  const auto scale = static_cast<float>(format.scale);
  // One whole plane of the result.
  const auto resize_plane = [&](int64_t plane, int) {
    const int64_t channel = plane % channels;
    const bool reversed = channels == 3 && format.order == ChannelOrder::kBgr;
    const int64_t source = reversed ? plane - channel + 2 - channel : plane;
    const auto c = static_cast<size_t>(channel);
    const float mean = channels == 3 ? static_cast<float>(format.mean[c]) : 0;
    const float std = channels == 3 ? static_cast<float>(format.std[c]) : 1;
    WidenedRows widened(samples.values().data() + source * old_height * old_width, old_width, columns);
    float* dst = resized.values().data() + plane * height * width;
    for (const Neighbours& row : rows) {
      const float *above = widened.row(row.first), *below = widened.row(row.second);
      for (int64_t x = 0; x < width; ++x) *dst++ = (row.between(above[x], below[x]) * scale - mean) / std;
    }
  };
  threads.parallel_for(images.dim(0) * channels, resize_plane);
  return resized;
}

}  // namespace marrow::train
