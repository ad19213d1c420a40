#include "marrow/evaluate/plots/curve_plot.h"

#include <fmt/format.h>

#include <algorithm>

#include "marrow/evaluate/plots/gnuplot.h"
#include "marrow/evaluate/plots/plot_script.h"

namespace marrow::evaluate {
namespace {

// Ten colours that stay apart on white, first as solid lines, then dashed.
constexpr const char* kColours[] = {"#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd",
                                    "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"};
constexpr size_t kLongestLegend = 28;

struct Description {
  const char* file;
  const char* title;
  const char* x;
  const char* y;
  PrecisionCurves::Rows PrecisionCurves::*rows;
};

const Description& description(Curve curve) {
  static const Description kDescriptions[] = {
      {"PR_curve.png", "Precision-recall curve", "Recall", "Precision",
       &PrecisionCurves::precision_by_recall},
      {"F1_curve.png", "F1-confidence curve", "Confidence", "F1", &PrecisionCurves::f1},
      {"P_curve.png", "Precision-confidence curve", "Confidence", "Precision", &PrecisionCurves::precision},
      {"R_curve.png", "Recall-confidence curve", "Confidence", "Recall", &PrecisionCurves::recall}};
  return kDescriptions[static_cast<size_t>(curve)];
}

std::string mean_title(const AveragePrecision& result, const std::vector<double>& mean, Curve curve) {
  if (curve == Curve::kPrecisionByRecall) return fmt::format("all classes {:.3f} mAP@0.5", result.map50());
  // F1 is best where precision and recall of the table are taken.
  const size_t best = curve == Curve::kF1
                          ? result.best_f1_index
                          : static_cast<size_t>(std::ranges::max_element(mean) - mean.begin());
  return fmt::format("all classes {:.2f} at {:.3f}", mean[best], result.curves.x[best]);
}

}  // namespace

std::string curve_file_name(Curve curve, const std::string& of) {
  return of + description(curve).file;
}

std::string curve_plot(const AveragePrecision& result, std::span<const std::string> names, Curve curve) {
  const Description& what = description(curve);
  const PrecisionCurves::Rows& rows = result.curves.*what.rows;
  const std::vector<double> mean = mean_curve(rows);
  PlotScript script(1150, 750, 12);
  std::string lines;
  if (rows.size() <= kMostClassLines) {
    for (size_t i = 0; i < rows.size(); ++i) {
      const ClassPrecision& one = result.classes[i];
      const std::string& name = names[static_cast<size_t>(one.class_id)];
      std::string legend = plot_text(class_text(name, static_cast<size_t>(one.class_id)), kLongestLegend);
      if (curve == Curve::kPrecisionByRecall) {
        legend.pop_back();
        legend += fmt::format(" {:.3f}'", one.map50());
      }
      const std::string block = script.data(std::vector{result.curves.x, rows[i]});
      lines += fmt::format("{} using 1:2 with lines linewidth 1.5 dashtype {} linecolor rgb '{}' title {}, ",
                           block, i < std::size(kColours) ? "1" : "(9,5)", kColours[i % std::size(kColours)],
                           legend);
    }
  }
  const std::string block = script.data(std::vector{result.curves.x, mean});
  lines += fmt::format("{} using 1:2 with lines linewidth 4 linecolor rgb '#0000c0' title {}\n", block,
                       plot_text(mean_title(result, mean, curve)));
  script << fmt::format("set title {}\nset xlabel {}\nset ylabel {}\n", plot_text(what.title),
                        plot_text(what.x), plot_text(what.y));
  script << "set xrange [0:1]\nset yrange [0:1.02]\nset xtics 0.2 nomirror\nset ytics 0.2 nomirror\n"
            "set grid linestyle 100\nset key outside right top reverse Left noenhanced samplen 2.5\n";
  script << "plot " + lines;
  return run_gnuplot(script.text());
}

}  // namespace marrow::evaluate
