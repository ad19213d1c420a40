// Latency against what it buys: a point a network, the best of them joined.
#pragma once

#include <span>
#include <string>

#include "marrow/evaluate/plots/plot_script.h"

namespace marrow::evaluate {

struct TradeoffPoint {
  std::string name;
  double ms = 0;
  double value = 0;
  bool on_front = false;
};

struct TradeoffText {
  std::string title;
  std::string value;     // the y axis
  double budget_ms = 0;  // a line at this latency where it lies in the image's range or near; 0: none
};

// Axes of a wide range are logarithmic; latency begins at 0 unless the points lie close together. Labels stay
// inside. REQUIRES: a point. Throws what run_gnuplot throws.
std::string tradeoff_plot(std::span<const TradeoffPoint> points, const TradeoffText& text, PlotFormat format);

}  // namespace marrow::evaluate
