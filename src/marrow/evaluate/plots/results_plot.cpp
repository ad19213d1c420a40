#include "marrow/evaluate/plots/results_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "marrow/base/error.h"
#include "marrow/evaluate/plots/gnuplot.h"
#include "marrow/evaluate/plots/plot_script.h"

namespace marrow::evaluate {
namespace {

constexpr int kPanelWidth = 370, kPanelHeight = 330;  // pixels
constexpr double kSmoothEpochs = 3;
constexpr size_t kMostDots = 300;  // more epochs are a line

struct Grid {
  size_t columns = 1;
  std::vector<size_t> panels;  // columns of the table, row by row
};

Grid arrange(const std::vector<std::string>& columns) {
  std::vector<size_t> train, val, metrics;
  for (size_t i = 0; i < columns.size(); ++i) {
    const std::string& name = columns[i];
    if (name == "epoch" || name == "time" || name.starts_with("lr/")) continue;
    (name.starts_with("train/") ? train : name.starts_with("val/") ? val : metrics).push_back(i);
  }
  Grid grid;
  const size_t half = (metrics.size() + 1) / 2;
  if (train.size() == val.size() && metrics.size() % 2 == 0) {
    grid.columns = train.size() + half;
    grid.panels = train;
    grid.panels.insert(grid.panels.end(), metrics.begin(), metrics.begin() + static_cast<int64_t>(half));
    grid.panels.insert(grid.panels.end(), val.begin(), val.end());
    grid.panels.insert(grid.panels.end(), metrics.begin() + static_cast<int64_t>(half), metrics.end());
  } else {
    grid.panels = train;
    grid.panels.insert(grid.panels.end(), val.begin(), val.end());
    grid.panels.insert(grid.panels.end(), metrics.begin(), metrics.end());
    grid.columns = static_cast<size_t>(std::ceil(std::sqrt(static_cast<double>(grid.panels.size()))));
  }
  return grid;
}

// A weighted mean around each value, over those that are finite.
std::vector<double> smoothed(const std::vector<double>& values) {
  std::vector<double> result(values.size(), std::numeric_limits<double>::quiet_NaN());
  const auto count = static_cast<int64_t>(values.size());
  constexpr auto kReach = static_cast<int64_t>(4 * kSmoothEpochs);
  for (int64_t i = 0; i < count; ++i) {
    double sum = 0, weights = 0;
    for (int64_t k = std::max<int64_t>(i - kReach, 0); k <= std::min(i + kReach, count - 1); ++k) {
      const double value = values[static_cast<size_t>(k)];
      if (!std::isfinite(value)) continue;
      const double distance = static_cast<double>(k - i) / kSmoothEpochs;
      const double weight = std::exp(-0.5 * distance * distance);
      sum += weight * value;
      weights += weight;
    }
    if (weights > 0) result[static_cast<size_t>(i)] = sum / weights;
  }
  return result;
}

// "[low:high]" with some air; of finite values.
std::string range_of(const std::vector<double>& values, double air) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  if (low > high) return "[0:1]";
  if (low == 0 && high == 0) return "[-0.02:1]";
  const double extent = high - low;
  // An axis needs some length, also for one epoch.
  const double margin = extent > 1e-9 * std::abs(high) ? extent * air : std::max(std::abs(high) * 0.1, 1e-6);
  return fmt::format("[{:.9g}:{:.9g}]", low - margin, high + margin);
}

}  // namespace

std::string results_plot(const train::ResultsTable& table) {
  const Grid grid = arrange(table.columns);
  if (table.rows.empty() || grid.panels.empty())
    throw Error(ErrorKind::kFormat, "results.csv has nothing to draw");
  const size_t rows = (grid.panels.size() + grid.columns - 1) / grid.columns;
  const auto column = [&](size_t i) {
    std::vector<double> values;
    for (const std::vector<double>& row : table.rows) values.push_back(row[i]);
    return values;
  };
  const std::vector<double> epochs = column(0);
  const bool dots = epochs.size() <= kMostDots;
  const int width = kPanelWidth * static_cast<int>(grid.columns);
  const int height = kPanelHeight * static_cast<int>(rows);

  PlotScript script(width, height, 10);
  std::vector<std::string> blocks;
  for (const size_t panel : grid.panels) {
    const std::vector<double> values = column(panel), means = smoothed(values);
    std::vector<std::vector<double>> points(3);  // those of epochs without validation are left out
    for (size_t i = 0; i < values.size(); ++i) {
      if (!std::isfinite(values[i])) continue;
      points[0].push_back(epochs[i]);
      points[1].push_back(values[i]);
      points[2].push_back(means[i]);
    }
    blocks.push_back(script.data(points));
  }
  // Room for the numbers of the vertical axes and for "epoch".
  script << fmt::format(
      "set multiplot layout {},{} margins {:.5f},{:.5f},{:.5f},{:.5f} spacing {:.5f},{:.5f}\n", rows,
      grid.columns, 80.0 / width, 1 - 14.0 / width, 52.0 / height, 1 - 34.0 / height, 88.0 / width,
      82.0 / height);
  script << fmt::format("set xrange {}\nset xtics {} nomirror\nset ytics nomirror\nset grid linestyle 100\n",
                        range_of(epochs, 0.02), whole_tick_step(epochs.back() - epochs.front()))
         << "set xlabel 'epoch' offset 0,0.4\nset key top right samplen 1.5\n";
  for (size_t i = 0; i < grid.panels.size(); ++i) {
    const std::vector<double> values = column(grid.panels[i]);
    const bool any = std::ranges::any_of(values, [](double v) { return std::isfinite(v); });
    script << fmt::format("set title {} offset 0,-0.4\nset yrange {}\n",
                          plot_text(table.columns[grid.panels[i]], 40), range_of(values, 0.06));
    if (i == 1) script << "unset key\n";
    if (!any) {
      script << "set label 1 'no finite value' at graph 0.5, graph 0.5 center\n"
                "plot NaN notitle\nunset label 1\n";
      continue;
    }
    script << fmt::format(
        "plot {0} using 1:2 with {1} linecolor rgb '#1f77b4' title 'results', "
        "{0} using 1:3 with lines linewidth 2 dashtype (4,3) linecolor rgb '#ff7f0e' title 'smooth'\n",
        blocks[i], dots ? "linespoints pointtype 7 pointsize 0.6 linewidth 1.5" : "lines linewidth 1.5");
  }
  script << "unset multiplot\n";
  return run_gnuplot(script.text());
}

}  // namespace marrow::evaluate
