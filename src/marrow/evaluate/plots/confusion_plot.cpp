#include "marrow/evaluate/plots/confusion_plot.h"

#include <fmt/format.h>

#include <algorithm>

#include "marrow/evaluate/plots/gnuplot.h"
#include "marrow/evaluate/plots/plot_script.h"

namespace marrow::evaluate {
namespace {

constexpr int kMostWithNumbers = 31;  // 30 classes and the background
constexpr int kMostWithNames = 101;
constexpr size_t kLongestLabel = 24;
constexpr double kBlankBelow = 0.005;
constexpr double kFont = 12;

// Sides in pixels.
struct Layout {
  double cell = 0;
  double name_font = kFont;
  double number_font = kFont;
  int left = 0, right = 130, top = 50, bottom = 0;
  int matrix = 0;
  bool names = false, numbers = false;

  int width() const { return left + matrix + right; }
  int height() const { return top + matrix + bottom; }
};

Layout layout_of(int size, std::span<const std::string> names, size_t widest_number) {
  Layout l;
  l.names = size <= kMostWithNames;
  l.numbers = size <= kMostWithNumbers;
  l.cell = l.names ? std::clamp(840.0 / size, 18.0, 170.0) : std::max(1600.0 / size, 1.0);
  l.matrix = std::max(static_cast<int>(l.cell * size), 300);
  l.cell = static_cast<double>(l.matrix) / size;
  l.name_font = std::clamp(l.cell * 0.6, 8.0, kFont);
  l.number_font =
      std::clamp(l.cell / (0.85 * static_cast<double>(std::max<size_t>(widest_number, 2))), 5.0, kFont + 2);
  size_t longest = 4;
  if (l.names)
    for (const std::string& name : names) longest = std::max(longest, drawn_length(name, kLongestLabel));
  // A letter is about 0.8 of the font's size in points wide, in pixels.
  const int room = static_cast<int>(static_cast<double>(longest) * l.name_font * 0.82) + 60;
  l.left = room;
  l.bottom = room;
  return l;
}

}  // namespace

std::string confusion_plot(const ConfusionMatrix& matrix, std::span<const std::string> names,
                           bool normalised) {
  const int n = matrix.size();
  std::vector<std::string> labels(names.begin(), names.end());
  labels.resize(static_cast<size_t>(n), "background");
  std::vector<double> values(static_cast<size_t>(n) * static_cast<size_t>(n));
  if (normalised) {
    values = matrix.normalised();
    for (double& value : values)
      if (value < kBlankBelow) value = 0;
  } else {
    for (int p = 0; p < n; ++p)
      for (int t = 0; t < n; ++t)
        values[static_cast<size_t>(p) * static_cast<size_t>(n) + static_cast<size_t>(t)] =
            static_cast<double>(matrix.at(p, t));
  }
  const double largest = std::max(values.empty() ? 0.0 : std::ranges::max(values), 1.0);
  const auto text = [&](double value) {
    return normalised ? fmt::format("{:.2f}", value) : fmt::format("{:.0f}", value);
  };
  const Layout l = layout_of(n, labels, text(largest).size());

  PlotScript script(l.width(), l.height(), kFont);
  const std::string cells = script.grid(values, static_cast<size_t>(n));
  script << fmt::format("set lmargin at screen {:.6f}\nset rmargin at screen {:.6f}\n",
                        static_cast<double>(l.left) / l.width(), 1 - static_cast<double>(l.right) / l.width())
         << fmt::format("set bmargin at screen {:.6f}\nset tmargin at screen {:.6f}\n",
                        static_cast<double>(l.bottom) / l.height(),
                        1 - static_cast<double>(l.top) / l.height());
  script << fmt::format("set title '{}'\n", normalised ? "Confusion matrix, shares of each true class"
                                                       : "Confusion matrix, counts");
  script << fmt::format("set xrange [-0.5:{}]\nset yrange [{}:-0.5]\nset cbrange [0:{:g}]\n", n - 0.5,
                        n - 0.5, largest)
         << kBluePalette << "unset key\n"
         << fmt::format(
                "set colorbox user origin screen {:.6f}, screen {:.6f} size screen {:.6f}, screen {:.6f}\n",
                (l.left + l.matrix + 20.0) / l.width(), static_cast<double>(l.bottom) / l.height(),
                26.0 / l.width(), static_cast<double>(l.matrix) / l.height());
  // The titles stand at the plot's edge, clear of names of any length.
  script << fmt::format(
      "set label 'True' at screen {:.6f}, screen {:.6f} center\n"
      "set label 'Predicted' at screen {:.6f}, screen {:.6f} center rotate by 90\n",
      (l.left + l.matrix / 2.0) / l.width(), 18.0 / l.height(), 18.0 / l.width(),
      (l.bottom + l.matrix / 2.0) / l.height());
  if (l.names) {
    const std::string ticks = class_ticks(labels, kLongestLabel);
    script << fmt::format(
        "set xtics rotate by 90 right nomirror scale 0.5 font ',{0:.1f}' {1}\n"
        "set ytics nomirror scale 0.5 font ',{0:.1f}' {1}\n",
        l.name_font, ticks);
  } else {
    script << fmt::format("set xtics nomirror out {0}\nset ytics nomirror out {0}\n",
                          whole_tick_step(2.0 * n));
  }
  // As rectangles small matrices stay sharp; as an image large ones are quick.
  std::string plot = fmt::format("plot {} matrix with image{}", cells, l.names ? " pixels" : "");
  if (l.numbers) {
    std::vector<std::vector<double>> numbers(4);  // x, y, value, colour
    for (size_t i = 0; i < values.size(); ++i) {
      if (values[i] <= 0) continue;
      numbers[0].push_back(static_cast<double>(i % static_cast<size_t>(n)));
      numbers[1].push_back(static_cast<double>(i / static_cast<size_t>(n)));
      numbers[2].push_back(values[i]);
      numbers[3].push_back(values[i] > largest * 0.55 ? 0xffffff : 0x202020);
    }
    if (!numbers[0].empty())
      plot += fmt::format(
          ", {} using 1:2:(sprintf('{}', $3)):4 with labels textcolor rgb variable font ',{:.1f}'",
          script.data(numbers), normalised ? "%.2f" : "%.0f", l.number_font);
  }
  script << plot + "\n";
  return run_gnuplot(script.text());
}

}  // namespace marrow::evaluate
