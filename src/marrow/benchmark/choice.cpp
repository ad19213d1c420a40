#include "marrow/benchmark/choice.h"

#include <fmt/format.h>

#include <algorithm>

namespace marrow::benchmark {
namespace {

bool all_measured(std::span<const Contender> contenders) {
  return std::ranges::all_of(contenders, [](const Contender& one) { return one.map50_95.has_value(); });
}

const Contender* fastest_of(std::span<const Contender> contenders, auto&& eligible) {
  const Contender* best = nullptr;
  for (const Contender& one : contenders)
    if (eligible(one) && (best == nullptr || one.ms < best->ms)) best = &one;
  return best;
}

std::string with_map(const Contender& one) {
  return one.map50_95 ? fmt::format("{} ({:.2f} ms, mAP50-95 {:.3f})", one.name, one.ms, *one.map50_95)
                      : fmt::format("{} ({:.2f} ms)", one.name, one.ms);
}

}  // namespace

std::vector<bool> pareto_front(std::span<const Contender> contenders) {
  const bool by_map = all_measured(contenders);
  const auto cost = [&](const Contender& one) { return by_map ? -*one.map50_95 : one.parameters; };
  const auto beats = [&](const Contender& a, const Contender& b) {
    return a.ms <= b.ms && cost(a) <= cost(b) && (a.ms < b.ms || cost(a) < cost(b));
  };
  std::vector<bool> front;
  for (const Contender& one : contenders)
    front.push_back(
        std::ranges::none_of(contenders, [&](const Contender& other) { return beats(other, one); }));
  return front;
}

std::string recommendation(std::span<const Contender> contenders, const ChoiceOptions& options) {
  const bool by_map = all_measured(contenders);
  const Contender* fastest = fastest_of(contenders, [](const Contender&) { return true; });
  std::string text = fmt::format("The fastest is {}.\n", with_map(*fastest));
  const auto worth = [&](const Contender& one) { return by_map ? *one.map50_95 : one.macs; };
  if (by_map) {
    const double best = worth(*std::ranges::max_element(contenders, {}, worth));
    const Contender* near =
        fastest_of(contenders, [&](const Contender& one) { return *one.map50_95 >= best - options.within; });
    text += fmt::format("The fastest within {:.3f} of the best mAP50-95 ({:.3f}) is {}.\n", options.within,
                        best, with_map(*near));
  }
  if (options.budget_ms > 0) {
    const Contender* chosen = nullptr;
    for (const Contender& one : contenders)
      if (one.ms <= options.budget_ms && (chosen == nullptr || worth(one) > worth(*chosen))) chosen = &one;
    if (chosen == nullptr)
      text += fmt::format("None stays under {:g} ms.\n", options.budget_ms);
    else
      text += fmt::format("The {} under {:g} ms is {}.\n",
                          by_map ? "best" : "largest (by multiply-adds, as no mAP was measured)",
                          options.budget_ms, with_map(*chosen));
  }
  return text;
}

}  // namespace marrow::benchmark
