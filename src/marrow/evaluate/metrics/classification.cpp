#include "marrow/evaluate/metrics/classification.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>

#include "marrow/base/error.h"

namespace marrow::evaluate {
namespace {

// Whether class `a` is guessed before class `b`.
bool before(std::span<const float> scores, size_t a, size_t b) {
  if (scores[a] == scores[b]) return a < b;
  if (std::isnan(scores[a]) || std::isnan(scores[b])) {
    return std::isnan(scores[a]) == std::isnan(scores[b]) ? a < b : std::isnan(scores[b]);
  }
  return scores[a] > scores[b];
}

std::string line(std::string_view name, int64_t images, double top1, double top5) {
  return fmt::format("{:>22}{:>11}{:>11.3g}{:>11.3g}\n", name, images, top1, top5);
}

}  // namespace

ClassificationValidator::ClassificationValidator(std::vector<std::string> names)
    : names_(std::move(names)), classes_(names_.size()), confusion_(static_cast<int>(names_.size())) {}

void ClassificationValidator::add(std::span<const float> scores, int true_class) {
  constexpr size_t kTop = 5;
  if (scores.size() != names_.size())
    throw Error(ErrorKind::kShape,
                fmt::format("the network has {} classes, the data {}", scores.size(), names_.size()));
  const auto truth = static_cast<size_t>(true_class);
  if (true_class < 0 || truth >= names_.size())
    throw Error(ErrorKind::kShape, fmt::format("class {}, but the data has {}", true_class, names_.size()));
  size_t guess = 0, better = 0;
  for (size_t c = 0; c < scores.size(); ++c) {
    if (before(scores, c, guess)) guess = c;
    better += c != truth && before(scores, c, truth);
  }
  for (ClassAccuracy* one : {&total_, &classes_[truth]}) {
    ++one->images;
    one->top1 += better == 0;
    one->top5 += better < kTop;
  }
  confusion_.add(static_cast<int>(guess), true_class);
}

std::vector<double> ClassificationValidator::counts() const {
  std::vector<double> counts;
  const auto add = [&](const ClassAccuracy& one) {
    for (const int64_t count : {one.images, one.top1, one.top5}) counts.push_back(static_cast<double>(count));
  };
  add(total_);
  for (const ClassAccuracy& one : classes_) add(one);
  for (int guess = 0; guess < confusion_.size(); ++guess)
    for (int truth = 0; truth < confusion_.size(); ++truth)
      counts.push_back(static_cast<double>(confusion_.at(guess, truth)));
  return counts;
}

void ClassificationValidator::set_counts(std::span<const double> counts) {
  auto next = counts.begin();
  const auto take = [&] { return static_cast<int64_t>(*next++); };
  const auto set = [&](ClassAccuracy& one) {
    for (int64_t* count : {&one.images, &one.top1, &one.top5}) *count = take();
  };
  set(total_);
  for (ClassAccuracy& one : classes_) set(one);
  confusion_ = ConfusionMatrix(confusion_.size());
  for (int guess = 0; guess < confusion_.size(); ++guess)
    for (int truth = 0; truth < confusion_.size(); ++truth) confusion_.add(guess, truth, take());
}

std::string ClassificationValidator::table(bool per_class) const {
  std::string text = fmt::format("{:>22}{:>11}{:>11}{:>11}\n", "classes", "images", "top1_acc", "top5_acc");
  text += line("all", total_.images, total_.top1_share(), total_.top5_share());
  for (size_t c = 0; per_class && c < classes_.size(); ++c) {
    const ClassAccuracy& one = classes_[c];
    if (one.images > 0) text += line(names_[c], one.images, one.top1_share(), one.top5_share());
  }
  return text;
}

std::string ClassificationValidator::mistakes(size_t most) const {
  struct Mistake {
    int64_t count;
    size_t truth, guess;
  };
  std::vector<Mistake> found;
  for (size_t truth = 0; truth < names_.size(); ++truth)
    for (size_t guess = 0; guess < names_.size(); ++guess)
      if (const int64_t count = confusion_.at(static_cast<int>(guess), static_cast<int>(truth));
          guess != truth && count > 0)
        found.push_back({count, truth, guess});
  if (found.empty()) return {};
  std::ranges::stable_sort(found, std::greater(), &Mistake::count);
  std::string text = "Most often taken for another class:\n";
  for (size_t i = 0; i < std::min(most, found.size()); ++i)
    text += fmt::format("{} for {}: {} of {}\n", names_[found[i].truth], names_[found[i].guess],
                        found[i].count, classes_[found[i].truth].images);
  return text;
}

nlohmann::ordered_json ClassificationValidator::json() const {
  using Json = nlohmann::ordered_json;
  Json per_class = Json::array();
  for (size_t c = 0; c < classes_.size(); ++c) {
    per_class.push_back({{"class", c},
                         {"name", names_[c]},
                         {"images", classes_[c].images},
                         {"top1", classes_[c].top1_share()},
                         {"top5", classes_[c].top5_share()}});
  }
  return {{"images", total_.images},           {"top1", total_.top1_share()},
          {"top5", total_.top5_share()},       {"fitness", fitness()},
          {"per_class", std::move(per_class)}, {"confusion_matrix", confusion_.json()}};
}

}  // namespace marrow::evaluate
