#include "marrow/loss/predicted_boxes.h"

#include <array>
#include <vector>

namespace marrow::loss {
namespace {

constexpr int64_t kAnchorsAtOnce = 4 * kExpectedCount;

}  // namespace

template <class T>
void predict_boxes(std::span<const AnchorLevel> levels, std::span<const LevelMaps<const T>> maps,
                   int64_t image, int reg_max, std::span<const uint8_t> marks, const LogitLoops<T>& loops,
                   std::span<MeasuredBox> boxes) {
  const int64_t channels = 4 * reg_max;
  std::vector<T> logits(static_cast<size_t>(channels * kAnchorsAtOnce));
  std::array<T, 4 * kAnchorsAtOnce> sides;
  std::vector<int64_t> cells;
  for (size_t l = 0; l < levels.size(); ++l) {
    const AnchorLevel& level = levels[l];
    const MapView<const T>& map = maps[l].sides;
    const auto predict = [&] {
      // Channels of the chosen cells, filled up to a whole number of vectors with what was there.
      const auto count = static_cast<int64_t>(cells.size());
      const int64_t step = (count + kExpectedCount - 1) / kExpectedCount * kExpectedCount;
      T* const gathered = reg_max == 1 ? sides.data() : logits.data();
      for (int64_t c = 0; c < channels; ++c) {
        const T* channel = map.channel(image, c);
        for (int64_t i = 0; i < count; ++i)
          gathered[c * step + i] = channel[cells[static_cast<size_t>(i)] * map.lanes];
      }
      if (reg_max > 1)
        for (int64_t side = 0; side < 4; ++side)
          loops.expected(gathered + side * reg_max * step, reg_max, step, sides.data() + side * step);
      for (int64_t i = 0; i < count; ++i) {
        const int64_t cell = cells[static_cast<size_t>(i)];
        const double x = static_cast<double>(cell % level.width) + 0.5;
        const double y = static_cast<double>(cell / level.width) + 0.5;
        const auto at = [&](int64_t side) {
          return static_cast<double>(sides[static_cast<size_t>(side * step + i)]);
        };
        boxes[static_cast<size_t>(level.first + cell)] =
            MeasuredBox((x - at(0)) * level.stride, (y - at(1)) * level.stride, (x + at(2)) * level.stride,
                        (y + at(3)) * level.stride);
      }
      cells.clear();
    };
    for (int64_t cell = 0; cell < level.size(); ++cell) {
      if (marks[static_cast<size_t>(level.first + cell)] == 0) continue;
      cells.push_back(cell);
      if (static_cast<int64_t>(cells.size()) == kAnchorsAtOnce) predict();
    }
    if (!cells.empty()) predict();
  }
}

template void predict_boxes<float>(std::span<const AnchorLevel>, std::span<const LevelMaps<const float>>,
                                   int64_t, int, std::span<const uint8_t>, const LogitLoops<float>&,
                                   std::span<MeasuredBox>);
template void predict_boxes<double>(std::span<const AnchorLevel>, std::span<const LevelMaps<const double>>,
                                    int64_t, int, std::span<const uint8_t>, const LogitLoops<double>&,
                                    std::span<MeasuredBox>);

}  // namespace marrow::loss
