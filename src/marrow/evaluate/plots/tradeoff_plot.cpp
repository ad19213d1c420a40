#include "marrow/evaluate/plots/tradeoff_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "marrow/evaluate/plots/gnuplot.h"

namespace marrow::evaluate {
namespace {

constexpr int kWidth = 1150, kHeight = 750;               // pixels
constexpr double kPlotWidth = 1025, kPlotHeight = 620;    // of the area inside the axes, about
constexpr double kLetterWidth = 7.2, kLineHeight = 15.5;  // of a label
constexpr size_t kLongestPoint = 40;
constexpr double kWideRange = 8;    // from here on an axis is logarithmic
constexpr double kNarrowRange = 2;  // to here an axis does not begin at zero
constexpr double kNearBudget = 3;   // a budget further away than this factor would push the points together

// One axis: from its ends to where a value lies, 0 to 1.
struct Axis {
  double low = 0, high = 1;
  bool logarithmic = false;

  double place(double value) const {
    return logarithmic ? std::log(value / low) / std::log(high / low) : (value - low) / (high - low);
  }
  std::string range() const { return fmt::format("[{}:{}]", low, high); }
};

// `room`: beyond the largest value, as a share of the axis.
Axis axis_of(double low, double high, bool may_begin_at_zero, double room) {
  const bool from_zero = may_begin_at_zero && high > kNarrowRange * low;
  if (low > 0 && high / low > kWideRange) {
    const double margin = std::pow(high / low, 0.08);
    return {low / margin, high * std::pow(high / low, room) * margin, true};
  }
  const double bottom = from_zero ? 0 : low;
  const double span = std::max(high - bottom, 1e-9 + 0.1 * std::abs(high));
  return {from_zero ? 0 : low - 0.1 * span, high + (0.08 + room) * span, false};
}

struct Label {
  const TradeoffPoint* point;
  double x, y;  // of its left end's middle, 0 to 1

  double width() const {
    return static_cast<double>(drawn_length(point->name, kLongestPoint)) * kLetterWidth / kPlotWidth;
  }
};

// Right of a point, or left of it where the frame would cut the name.
Label beside(const TradeoffPoint& point, double x, double y) {
  constexpr double kGap = 9 / kPlotWidth;
  Label label{&point, x + kGap, y};
  if (label.x + label.width() > 1) label.x = std::max(x - kGap - label.width(), 0.0);
  return label;
}

// Beside the points, moved down until none covers another.
std::vector<Label> place_labels(std::span<const TradeoffPoint> points, const Axis& x, const Axis& y) {
  std::vector<Label> labels;
  for (const TradeoffPoint& point : points)
    labels.push_back(beside(point, x.place(point.ms), y.place(point.value)));
  std::ranges::sort(labels, std::greater<>(), &Label::y);
  for (size_t i = 0; i < labels.size(); ++i)
    for (size_t k = 0; k < i; ++k) {
      const bool apart =
          labels[i].x > labels[k].x + labels[k].width() || labels[k].x > labels[i].x + labels[i].width();
      if (!apart) labels[i].y = std::min(labels[i].y, labels[k].y - kLineHeight / kPlotHeight);
    }
  return labels;
}

std::vector<std::vector<double>> coordinates(std::span<const TradeoffPoint> points) {
  std::vector<std::vector<double>> columns(2);
  for (const TradeoffPoint& point : points) {
    columns[0].push_back(point.ms);
    columns[1].push_back(point.value);
  }
  return columns;
}

}  // namespace

std::string tradeoff_plot(std::span<const TradeoffPoint> points, const TradeoffText& text,
                          PlotFormat format) {
  std::vector<TradeoffPoint> front, rest;
  for (const TradeoffPoint& point : points) (point.on_front ? front : rest).push_back(point);
  std::ranges::sort(front, {}, &TradeoffPoint::ms);
  constexpr double kRoomForNames = 0.25;
  const auto [least_ms, most_ms] = std::ranges::minmax(points, {}, &TradeoffPoint::ms);
  const auto [least, most] = std::ranges::minmax(points, {}, &TradeoffPoint::value);
  double first_ms = least_ms.ms, last_ms = most_ms.ms;
  const bool budget = text.budget_ms > first_ms / kNearBudget && text.budget_ms < last_ms * kNearBudget;
  if (budget) {
    first_ms = std::min(first_ms, text.budget_ms);
    last_ms = std::max(last_ms, text.budget_ms);
  }
  const Axis x = axis_of(first_ms, last_ms, true, kRoomForNames);
  const Axis y = axis_of(least.value, most.value, false, 0);

  PlotScript script(kWidth, kHeight, 12, format);
  const std::string front_block = script.data(coordinates(front));
  const std::string rest_block = script.data(coordinates(rest));
  script << fmt::format("set title {}\nset xlabel 'Latency (ms)'\nset ylabel {}\n",
                        plot_text(text.title, 110), plot_text(text.value));
  script << fmt::format("set xrange {}\nset yrange {}\n", x.range(), y.range());
  if (x.logarithmic)
    script << "set logscale x\nset xtics (1,2,5,10,20,50,100,200,500,1000,2000,5000,10000)\n";
  if (y.logarithmic) script << "set logscale y\nset ytics (0.1,0.2,0.5,1,2,5,10,20,50,100,200,500,1000)\n";
  script << "set xtics nomirror\nset ytics nomirror\nset grid linestyle 100\n"
            "set key outside bottom center horizontal reverse Left noenhanced\n";
  for (const Label& label : place_labels(points, x, y))
    script << fmt::format(
        "set label {} at graph {:.4f},{:.4f} left noenhanced font ',10' textcolor rgb '{}'\n",
        plot_text(label.point->name, kLongestPoint), label.x, label.y,
        label.point->on_front ? "#0000c0" : "#606060");
  if (budget) {
    script << fmt::format(
        "set arrow from first {0},graph 0 to first {0},graph 1 nohead dashtype 2 linecolor rgb '#c00000'\n"
        "set label 'budget, {0:g} ms' at first {0},graph 0.02 rotate by 90 left offset character -0.8,0 "
        "noenhanced font ',10' textcolor rgb '#c00000'\n",
        text.budget_ms);
  }
  std::string curves = fmt::format(
      "{} using 1:2 with linespoints linewidth 2 pointtype 7 pointsize 1.3 linecolor rgb '#0000c0' title 'no "
      "other is faster and better'",
      front_block);
  if (!rest.empty())
    curves += fmt::format(
        ", {} using 1:2 with points pointtype 7 pointsize 1.1 linecolor rgb '#909090' title 'others'",
        rest_block);
  script << "plot " + curves + "\n";
  return run_gnuplot(script.text());
}

}  // namespace marrow::evaluate
