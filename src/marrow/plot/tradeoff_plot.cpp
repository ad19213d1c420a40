#include "plot/tradeoff_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "plot/gnuplot.h"

namespace marrow {
namespace {

constexpr int kWidth = 1150, kHeight = 750;               // pixels
constexpr double kPlotWidth = 1025, kPlotHeight = 620;    // of the area inside the axes, about
constexpr double kLetterWidth = 7.2, kLineHeight = 15.5;  // of a label
constexpr size_t kLongestName = 40;
constexpr double kWideRange = 8;  // from here on an axis is logarithmic

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
Axis axis_of(std::span<const TradeoffPoint> points, double TradeoffPoint::*value, bool from_zero,
             double room) {
  const auto [least, most] = std::ranges::minmax(points, {}, value);
  const double low = least.*value, high = most.*value;
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
};

// Beside the points, moved down until none covers another.
std::vector<Label> place_labels(std::span<const TradeoffPoint> points, const Axis& x, const Axis& y) {
  std::vector<Label> labels;
  for (const TradeoffPoint& point : points)
    labels.push_back({&point, x.place(point.ms) + 9 / kPlotWidth, y.place(point.value)});
  std::ranges::sort(labels, std::greater<>(), &Label::y);
  const auto width = [](const Label& label) {
    return static_cast<double>(drawn_length(label.point->name, kLongestName)) * kLetterWidth / kPlotWidth;
  };
  for (size_t i = 0; i < labels.size(); ++i)
    for (size_t k = 0; k < i; ++k) {
      const bool beside =
          labels[i].x > labels[k].x + width(labels[k]) || labels[k].x > labels[i].x + width(labels[i]);
      if (!beside) labels[i].y = std::min(labels[i].y, labels[k].y - kLineHeight / kPlotHeight);
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
  const Axis x = axis_of(points, &TradeoffPoint::ms, true, kRoomForNames);
  const Axis y = axis_of(points, &TradeoffPoint::value, false, 0);

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
        plot_text(label.point->name, kLongestName), label.x, label.y,
        label.point->on_front ? "#0000c0" : "#606060");
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

}  // namespace marrow
