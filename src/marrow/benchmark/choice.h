// Which of several networks to take.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace marrow::benchmark {

struct Contender {
  std::string name;
  double ms = 0;
  double parameters = 0;
  double macs = 0;                 // of one image
  std::optional<double> map50_95;  // 0 to 1; where it was measured
};

// Whether each is on the Pareto front: no other is as fast and as good, and better in one of the two. Good is
// a high mAP when all have one, otherwise few parameters.
std::vector<bool> pareto_front(std::span<const Contender> contenders);

struct ChoiceOptions {
  double within = 0.01;  // of the best mAP
  double budget_ms = 0;  // 0: none
};

// Plain sentences, one a line: the fastest, the fastest whose mAP is near the best, the best within the
// budget. Without mAP the best is the one with the most multiply-adds, and a sentence says so. REQUIRES: at
// least one contender.
std::string recommendation(std::span<const Contender> contenders, const ChoiceOptions& options);

}  // namespace marrow::benchmark
