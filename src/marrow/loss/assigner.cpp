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
                const Shapes& shapes, const Objects& objects, const AssignerOptions& options)
      : levels_(levels),
        logits_(logits),
        image_(image),
        shapes_(shapes),
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
      Candidate winner = wanted_.picks[anchor] > 1 ? wanted_.overlapping[anchor] : wanted_.picked[anchor];
      if (winner.object == kNone && options_.with_unweighted)  // all overlaps are 0: the first of equals
        winner = {static_cast<int64_t>(anchor), first};
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
    candidates_.clear();
    shapes_.for_each_row_inside(
        levels_, object, [&](const AnchorLevel& level, int64_t y, int64_t x_begin, int64_t x_end) {
          const MapView<const T>& map = logits_[static_cast<size_t>(&level - levels_.data())];
          const T* logit = map.channel(image_, objects_.labels[o]);
          for (int64_t cell = y * level.width + x_begin; cell < y * level.width + x_end; ++cell)
            consider({level.first + cell, object}, logit[cell * map.lanes]);
        });
    for (const Candidate& candidate : best_of_row(candidates_, options_.top_k, anchor_count(levels_))) {
      const auto anchor = static_cast<size_t>(candidate.anchor);
      ++wanted_.picks[anchor];
      wanted_.picked[anchor] = candidate;
    }
  }

  // Measures the candidate and notes it.
  void consider(Candidate candidate, double logit) {
    const auto anchor = static_cast<size_t>(candidate.anchor);
    if (!shapes_.is_finite(candidate.anchor)) not_a_number_ = true;
    if (const double overlap = shapes_.overlap(candidate.object, candidate.anchor); overlap > 0) {
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
          weight > 0 || options_.with_unweighted)
        result_.foreground.push_back({candidate.anchor, candidate.object, weight});
  }

  std::span<const AnchorLevel> levels_;
  std::span<const MapView<const T>> logits_;
  int64_t image_;
  const Shapes& shapes_;
  const Objects& objects_;
  const AssignerOptions& options_;
  Wanted wanted_;
  std::vector<Candidate> candidates_;  // of one object: the anchors inside, in order
  ImageAssignment result_;
  bool not_a_number_ = false;
};

}  // namespace

UprightShapes::UprightShapes(const Objects& objects, int64_t image, std::span<const MeasuredBox> boxes,
                             double smallest_side)
    : first_(objects.first[static_cast<size_t>(image)]), boxes_(boxes) {
  for (int64_t object = first_; object < objects.first[static_cast<size_t>(image) + 1]; ++object) {
    const BoxXyxy& box = objects.boxes[static_cast<size_t>(object)];
    objects_.emplace_back(box[0], box[1], box[2], box[3]);
    search_.push_back(search_box(box, smallest_side));
  }
}

void UprightShapes::for_each_row_inside(std::span<const AnchorLevel> levels, int64_t object,
                                        const VisitRow& visit) const {
  loss::for_each_row_inside(levels, search_[place(object)], visit);
}

double UprightShapes::overlap(int64_t object, int64_t anchor) const {
  const MeasuredBox &a = objects_[place(object)], &b = boxes_[static_cast<size_t>(anchor)];
  // Without a common area the complete IoU is not above 0.
  if (b.x2 <= a.x1 || a.x2 <= b.x1 || b.y2 <= a.y1 || a.y2 <= b.y1) return 0;
  return std::max(complete_iou(a, b), 0.0);
}

bool UprightShapes::is_finite(int64_t anchor) const {
  const MeasuredBox& box = boxes_[static_cast<size_t>(anchor)];
  return std::isfinite(box.x1 + box.y1 + box.x2 + box.y2);
}

template <class T>
ImageAssignment assign(std::span<const AnchorLevel> levels, std::span<const MapView<const T>> logits,
                       int64_t image, const Shapes& shapes, const Objects& objects,
                       const AssignerOptions& options) {
  return ImageAssigner<T>(levels, logits, image, shapes, objects, options).run();
}

template ImageAssignment assign<float>(std::span<const AnchorLevel>, std::span<const MapView<const float>>,
                                       int64_t, const Shapes&, const Objects&, const AssignerOptions&);
template ImageAssignment assign<double>(std::span<const AnchorLevel>, std::span<const MapView<const double>>,
                                        int64_t, const Shapes&, const Objects&, const AssignerOptions&);

}  // namespace marrow::loss
