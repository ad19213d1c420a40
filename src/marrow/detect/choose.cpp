#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "marrow/detect/nms.h"

namespace marrow::detect {
namespace {

constexpr int kLeastChosen = 300;

// Of `count` numbers the places of the `wanted` largest, falling; equals keep their order.
std::vector<int64_t> largest(const std::vector<float>& numbers, size_t wanted) {
  std::vector<int64_t> order(numbers.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  const auto before = [&](int64_t a, int64_t b) {
    const float x = numbers[static_cast<size_t>(a)], y = numbers[static_cast<size_t>(b)];
    return x != y ? x > y : a < b;
  };
  wanted = std::min(wanted, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(wanted), order.end(), before);
  order.resize(wanted);
  return order;
}

}  // namespace

std::vector<InputDetection> choose_detections(const float* prediction, int classes, int64_t anchors,
                                              const NmsOptions& options) {
  if (classes < 1 || anchors < 1) return {};
  const auto score = [&](int64_t c, int64_t anchor) {
    const float found = prediction[(4 + c) * anchors + anchor];
    return std::isnan(found) ? -std::numeric_limits<float>::infinity() : found;
  };
  std::vector<float> best(static_cast<size_t>(anchors));
  std::vector<int64_t> best_class(best.size());
  for (int64_t anchor = 0; anchor < anchors; ++anchor) {
    const auto at = static_cast<size_t>(anchor);
    best[at] = score(0, anchor);
    for (int64_t c = 1; c < classes; ++c)
      if (score(c, anchor) > best[at]) {
        best[at] = score(c, anchor);
        best_class[at] = c;
      }
  }
  const auto wanted = static_cast<size_t>(std::max(options.max_detections, kLeastChosen));
  const std::vector<int64_t> chosen = largest(best, wanted);

  // (anchor, class) of what may be returned, falling.
  std::vector<std::pair<int64_t, int64_t>> ranked;
  if (options.agnostic) {
    for (const int64_t anchor : chosen) ranked.emplace_back(anchor, best_class[static_cast<size_t>(anchor)]);
  } else {
    std::vector<float> scores;
    for (const int64_t anchor : chosen)
      for (int64_t c = 0; c < classes; ++c) scores.push_back(score(c, anchor));
    for (const int64_t i : largest(scores, chosen.size()))
      ranked.emplace_back(chosen[static_cast<size_t>(i / classes)], i % classes);
  }

  std::vector<InputDetection> result;
  for (const auto& [anchor, c] : ranked) {
    if (result.size() == static_cast<size_t>(std::max(options.max_detections, 0))) break;
    const float confidence = score(c, anchor);
    const bool of_a_class =
        options.classes.empty() || std::ranges::find(options.classes, c) != options.classes.end();
    const CentredBox<InputPixels> centred = {prediction[anchor], prediction[anchors + anchor],
                                             prediction[2 * anchors + anchor],
                                             prediction[3 * anchors + anchor]};
    const Box<InputPixels> box = centred.corner_form();
    if (confidence > confidence_of(options, static_cast<int>(c)) && of_a_class && is_finite(box))
      result.push_back({box, confidence, static_cast<int>(c), anchor});
  }
  return result;
}

std::vector<InputDetection> find_detections(const float* prediction, int classes, int64_t anchors,
                                            const NmsOptions& options) {
  return options.suppress ? non_max_suppression(prediction, classes, anchors, options)
                          : choose_detections(prediction, classes, anchors, options);
}

}  // namespace marrow::detect
