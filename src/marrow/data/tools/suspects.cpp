#include "marrow/data/tools/suspects.h"

#include <algorithm>
#include <cmath>

namespace marrow::data {
namespace {

constexpr double kSame = 0.5;      // overlap from which on two boxes are of one object
constexpr double kTouching = 0.2;  // below it they have nothing to do with each other
constexpr double kInside = 0.5;    // share of a box that lies in a crowd

using PixelBox = Box<ImagePixels, double>;

double intersection(const PixelBox& a, const PixelBox& b) {
  const double width = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
  const double height = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  return width > 0 && height > 0 ? width * height : 0;
}

double overlap(const PixelBox& a, const PixelBox& b) {
  const double common = intersection(a, b), all = a.area() + b.area() - common;
  return all > 0 ? common / all : 0;
}

class Comparison {
 public:
  Comparison(const LabelledImage& image, float sure) : image_(image), sure_(sure) {
    for (const Label& label : image.labels)
      labels_.push_back({pixel_box(label, image).corner_form(), label.class_id});
    for (const IgnoredLabel& ignored : image.ignored)
      ignored_.push_back(pixel_box(ignored.label, image).corner_form());
  }

  std::vector<Suspect> run(std::span<const detect::Detection> detections) {
    for (const detect::Detection& detection : detections)
      if (is_finite(detection.box)) compare(detection);
    for (const Known& label : labels_)
      if (label.touched < kTouching) add_unseen(label);
    std::ranges::stable_sort(suspects_, std::greater<>(), &Suspect::score);
    return std::move(suspects_);
  }

 private:
  struct Known {
    PixelBox box;
    int class_id = 0;
    bool is_taken = false;
    double touched = 0;  // the largest overlap with any detection
  };

  void compare(const detect::Detection& detection) {
    const auto& [x1, y1, x2, y2] = detection.box;
    const PixelBox box = {x1, y1, x2, y2};
    // One of its own class is the likelier partner.
    Known* best = nullptr;
    double best_overlap = 0, best_rank = 0;
    for (Known& label : labels_) {
      const double found = overlap(box, label.box);
      label.touched = std::max(label.touched, found);
      const double rank = label.is_taken ? 0 : found + (label.class_id == detection.class_id ? 1 : 0);
      if (found < kTouching || rank <= best_rank) continue;
      best = &label;
      best_overlap = found;
      best_rank = rank;
    }
    const bool is_sure = detection.confidence >= sure_;
    if (best != nullptr) {
      best->is_taken = true;
      if (!is_sure) return;
      const bool same_class = best->class_id == detection.class_id;
      if (!same_class && best_overlap >= kSame)
        add(Suspect::Kind::kClass, detection, best->class_id);
      else if (same_class && best_overlap < kSame)
        add(Suspect::Kind::kLoose, detection, best->class_id);
      else if (!same_class)
        add(Suspect::Kind::kMissing, detection, -1);
      return;
    }
    const auto hides = [&](const PixelBox& other, double share) {
      return intersection(box, other) >= share * box.area();
    };
    const bool in_crowd =
        std::ranges::any_of(ignored_, [&](const PixelBox& other) { return hides(other, kInside); });
    // A second box of an object that has its label.
    const bool is_second = std::ranges::any_of(
        labels_, [&](const Known& label) { return overlap(box, label.box) >= kTouching; });
    if (is_sure && !in_crowd && !is_second) add(Suspect::Kind::kMissing, detection, -1);
  }

  void add(Suspect::Kind kind, const detect::Detection& detection, int labelled) {
    suspects_.push_back({kind, detection.box, labelled, detection.class_id, detection.confidence});
  }

  void add_unseen(const Known& label) {
    const double area = label.box.area() / (static_cast<double>(image_.width) * image_.height);
    suspects_.push_back({Suspect::Kind::kUnseen,
                         {static_cast<float>(label.box.x1), static_cast<float>(label.box.y1),
                          static_cast<float>(label.box.x2), static_cast<float>(label.box.y2)},
                         label.class_id,
                         -1,
                         std::sqrt(std::clamp(area, 0.0, 1.0)) / 2});
  }

  const LabelledImage& image_;
  float sure_;
  std::vector<Known> labels_;
  std::vector<PixelBox> ignored_;
  std::vector<Suspect> suspects_;
};

}  // namespace

std::string_view suspect_kind_name(Suspect::Kind kind) {
  switch (kind) {
    case Suspect::Kind::kMissing:
      return "missing";
    case Suspect::Kind::kClass:
      return "class";
    case Suspect::Kind::kLoose:
      return "loose";
    case Suspect::Kind::kUnseen:
      break;
  }
  return "unseen";
}

std::vector<Suspect> find_suspects(std::span<const detect::Detection> detections, const LabelledImage& image,
                                   float sure) {
  return Comparison(image, sure).run(detections);
}

}  // namespace marrow::data
