// Learning rate, momentum and accumulation of every iteration, by formula.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "record.h"

namespace marrow::golden {
namespace {

json rows_of(const json& p) {
  const int batches = p.at("nb"), epochs = p.at("epochs");
  const double lr0 = p.at("lr0"), lrf = p.at("lrf"), momentum = p.at("momentum");
  const double whole = std::max(1.0, std::nearbyint(p.at("nbs").get<double>() / p.at("batch").get<double>()));
  const double warmup_epochs = p.at("warmup_epochs");
  const double warmup = warmup_epochs > 0 ? std::max(std::nearbyint(warmup_epochs * batches), 100.0) : -1;
  json rows = json::array();
  int last_step = -1;
  for (int epoch = 0; epoch < epochs; ++epoch)
    for (int i = 0; i < batches; ++i) {
      const int n = epoch * batches + i;
      const double done = static_cast<double>(epoch) / epochs;
      // From 1 to lrf: a line, or half a cosine.
      const double factor = p.at("cos_lr").get<bool>()
                                ? (1 - std::cos(std::numbers::pi * done)) / 2 * (lrf - 1) + 1
                                : (1 - done) * (1 - lrf) + lrf;
      double bias = lr0 * factor, others = lr0 * factor, moment = momentum, accumulate = whole;
      if (n <= warmup) {
        const double share = n / warmup;
        const auto between = [&](double from, double to) { return from + (to - from) * share; };
        bias = between(p.at("warmup_bias_lr"), bias);
        others = between(0, others);
        moment = between(p.at("warmup_momentum"), momentum);
        accumulate = std::max(
            1.0, std::nearbyint(between(1, p.at("nbs").get<double>() / p.at("batch").get<double>())));
      }
      const bool steps = n - last_step >= accumulate;
      if (steps) last_step = n;
      rows.push_back({epoch, i, n, bias, others, moment, static_cast<int>(accumulate), steps});
    }
  return rows;
}

}  // namespace

void record_schedule(const fs::path& root) {
  json cases = json::array();
  const auto add = [&](int nb, int epochs, int batch, double warmup_epochs, bool cosine) {
    const json params = {{"nb", nb},
                         {"epochs", epochs},
                         {"batch", batch},
                         {"nbs", 64},
                         {"lr0", 0.02},
                         {"lrf", 0.05},
                         {"momentum", 0.9},
                         {"warmup_epochs", warmup_epochs},
                         {"warmup_momentum", 0.75},
                         {"warmup_bias_lr", 0.08},
                         {"cos_lr", cosine}};
    cases.push_back({{"params", params},
                     {"columns",
                      {"epoch", "i", "ni", "lr_bias_group0", "lr_group1_and_2", "momentum", "accumulate",
                       "optimizer_step"}},
                     {"rows", rows_of(params)}});
  };
  add(7, 5, 4, 3, false);
  add(40, 6, 16, 3, true);
  add(12, 4, 64, 0, false);
  add(25, 5, 24, 2, false);
  write_json(root / "yolov8" / "e2e" / "lr_schedule.json", {{"cases", cases}});
}

}  // namespace marrow::golden
