#include "marrow/loss/assigner.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace marrow::loss {
namespace {

constexpr double kAlignmentEps = 1e-9;

constexpr int64_t kNone = -1;

struct Candidate {
  int64_t anchor = 0, object = kNone;
  float alignment = 0;
  double overlap = 0;
};

bool aligns_better(const Candidate& a, const Candidate& b) {
  return a.alignment > b.alignment;
}

// Of a row of `anchors` alignments, 0 but for the candidates, who are in order: those among the `count`
// largest, in any order.
std::vector<Candidate> best_of_row(std::span<const Candidate> candidates, int64_t count, int64_t anchors) {
  count = std::clamp<int64_t>(count, 0, anchors);
  if (count == 0) return {};
  const bool partial_sort = count * 64 <= anchors;
  std::vector<Candidate> row;
  // partial_sort takes the first `count` and then what is larger than one that it has: there zeros can go.
  auto next = candidates.begin();
  for (int64_t anchor = 0; anchor < (partial_sort ? count : anchors); ++anchor)
    row.push_back(next != candidates.end() && next->anchor == anchor ? *next++ : Candidate{anchor});
  std::copy_if(next, candidates.end(), std::back_inserter(row),
               [](const Candidate& candidate) { return candidate.alignment > 0; });
  if (partial_sort)
    std::partial_sort(row.begin(), row.begin() + count, row.end(), aligns_better);
  else
    std::nth_element(row.begin(), row.begin() + count - 1, row.end(), aligns_better);
  row.resize(static_cast<size_t>(count));
  std::erase_if(row, [](const Candidate& candidate) { return candidate.object == kNone; });
  return row;
}

// What the objects of an image, one after the other, want of each anchor.
struct Wanted {
  explicit Wanted(int64_t anchors)
      : overlapping(static_cast<size_t>(anchors)), picked(overlapping), picks(overlapping.size(), 0) {}

  std::vector<Candidate> overlapping;  // by the object that overlaps it most, whether that picked it or not
  std::vector<Candidate> picked;       // by the latest object that picked it
  std::vector<int> picks;
};

template <class T>
class ImageAssigner {
 public:
  ImageAssigner(std::span<const AnchorLevel> levels, std::span<const MapView<const T>> logits, int64_t image,
                std::span<const MeasuredBox> boxes, const Objects& objects, const AssignerOptions& options)
      : levels_(levels),
        logits_(logits),
        image_(image),
        boxes_(boxes),
        objects_(objects),
        options_(options),
        wanted_(anchor_count(levels)) {}

  ImageAssignment run() {
    const auto i = static_cast<size_t>(image_);
    const int64_t first = objects_.first[i], end = objects_.first[i + 1];
    for (int64_t object = first; object < end; ++object)
      if (objects_.valid(object)) pick(object);

    std::vector<std::vector<Candidate>> won(static_cast<size_t>(end - first));
    for (size_t anchor = 0; anchor < wanted_.picks.size(); ++anchor) {
      if (wanted_.picks[anchor] == 0) continue;
      const Candidate& winner =
          wanted_.picks[anchor] > 1 ? wanted_.overlapping[anchor] : wanted_.picked[anchor];
      if (winner.object != kNone) won[static_cast<size_t>(winner.object - first)].push_back(winner);
    }
    for (std::vector<Candidate>& candidates : won) {
      if (options_.top_k_after > 0)
        candidates = best_of_row(candidates, options_.top_k_after, anchor_count(levels_));
      weigh(candidates);
    }
    std::ranges::sort(result_.foreground, {}, &AssignedAnchor::anchor);
    for (const AssignedAnchor& assigned : result_.foreground)
      result_.total += static_cast<double>(assigned.weight);
    if (not_a_number_) result_.total = NAN;
    return std::move(result_);
  }

 private:
  void pick(int64_t object) {
    const auto o = static_cast<size_t>(object);
    const BoxXyxy& sides = objects_.boxes[o];
    const MeasuredBox box(sides[0], sides[1], sides[2], sides[3]);
    candidates_.clear();
    for_each_row_inside(levels_, search_box(sides, options_.smallest_side),
                        [&](const AnchorLevel& level, int64_t y, int64_t x_begin, int64_t x_end) {
                          const MapView<const T>& map = logits_[static_cast<size_t>(&level - levels_.data())];
                          const T* logit = map.channel(image_, objects_.labels[o]);
                          for (int64_t cell = y * level.width + x_begin; cell < y * level.width + x_end;
                               ++cell)
                            consider({level.first + cell, object}, box, logit[cell * map.lanes]);
                        });
    for (const Candidate& candidate : best_of_row(candidates_, options_.top_k, anchor_count(levels_))) {
      const auto anchor = static_cast<size_t>(candidate.anchor);
      ++wanted_.picks[anchor];
      wanted_.picked[anchor] = candidate;
    }
  }

  // Measures the candidate and notes it.
  void consider(Candidate candidate, const MeasuredBox& object, double logit) {
    const auto anchor = static_cast<size_t>(candidate.anchor);
    const MeasuredBox& box = boxes_[anchor];
    if (!std::isfinite(box.x1 + box.y1 + box.x2 + box.y2)) not_a_number_ = true;
    // Without a common area the complete IoU is not above 0.
    const bool apart =
        box.x2 <= object.x1 || object.x2 <= box.x1 || box.y2 <= object.y1 || object.y2 <= box.y1;
    if (const double overlap = apart ? 0 : complete_iou(object, box); overlap > 0) {
      const double score = 1 / (1 + std::exp(-logit));
      candidate.overlap = overlap;
      candidate.alignment =
          static_cast<float>(std::pow(score, options_.alpha) * std::pow(overlap, options_.beta));
      if (std::isnan(candidate.alignment)) not_a_number_ = true;
      if (overlap > wanted_.overlapping[anchor].overlap) wanted_.overlapping[anchor] = candidate;
    }
    candidates_.push_back(candidate);
  }

  void weigh(const std::vector<Candidate>& candidates) {
    double alignment = 0, overlap = 0;
    for (const Candidate& candidate : candidates) {
      alignment = std::max(alignment, static_cast<double>(candidate.alignment));
      overlap = std::max(overlap, candidate.overlap);
    }
    for (const Candidate& candidate : candidates)
      if (const auto weight =
              static_cast<float>(candidate.alignment * (overlap / (alignment + kAlignmentEps)));
          weight > 0)
        result_.foreground.push_back({candidate.anchor, candidate.object, weight});
  }

  std::span<const AnchorLevel> levels_;
  std::span<const MapView<const T>> logits_;
  int64_t image_;
  std::span<const MeasuredBox> boxes_;
  const Objects& objects_;
  const AssignerOptions& options_;
  Wanted wanted_;
  std::vector<Candidate> candidates_;  // of one object: the anchors inside, in order
  ImageAssignment result_;
  bool not_a_number_ = false;
};

}  // namespace

template <class T>
ImageAssignment assign(std::span<const AnchorLevel> levels, std::span<const MapView<const T>> logits,
                       int64_t image, std::span<const MeasuredBox> boxes, const Objects& objects,
                       const AssignerOptions& options) {
  return ImageAssigner<T>(levels, logits, image, boxes, objects, options).run();
}

template ImageAssignment assign<float>(std::span<const AnchorLevel>, std::span<const MapView<const float>>,
                                       int64_t, std::span<const MeasuredBox>, const Objects&,
                                       const AssignerOptions&);
template ImageAssignment assign<double>(std::span<const AnchorLevel>, std::span<const MapView<const double>>,
                                        int64_t, std::span<const MeasuredBox>, const Objects&,
                                        const AssignerOptions&);

}  // namespace marrow::loss
