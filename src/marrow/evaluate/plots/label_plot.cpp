#include "marrow/evaluate/plots/label_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "marrow/detect/draw.h"
#include "marrow/evaluate/plots/gnuplot.h"
#include "marrow/evaluate/plots/plot_script.h"
#include "marrow/image/decode.h"
#include "marrow/image/encode.h"

namespace marrow::evaluate {
namespace {

constexpr int kSide = 1300, kLargeSide = 2000;  // pixels
constexpr size_t kManyNames = 40;               // need the large one
constexpr size_t kMostNames = 100;
constexpr size_t kLongestTick = 18;
constexpr size_t kMostBoxes = 1000;
constexpr size_t kBins = 50;
constexpr double kVeil = 0x90000000;  // transparency, so that many boxes show where most edges lie

double colour_of(int class_id) {
  const auto [blue, green, red] = detect::class_colour(class_id);
  return red * 65536.0 + green * 256.0 + blue;
}

// How many points fall into each cell of the unit square; rows from y = 0.
template <class X, class Y>
std::vector<double> histogram(std::span<const PlottedBox> boxes, X x, Y y) {
  const auto bin = [](float value) {
    return std::isfinite(value) ? static_cast<size_t>(std::clamp(value, 0.0f, 0.9999f) * kBins) : 0;
  };
  std::vector<double> counts(kBins * kBins);
  for (const PlottedBox& box : boxes) ++counts[bin(box.box.*y) * kBins + bin(box.box.*x)];
  return counts;
}

void classes_panel(PlotScript& script, std::span<const PlottedBox> boxes,
                   std::span<const std::string> names) {
  std::vector<double> counts(names.size()), numbers(names.size()), colours(names.size());
  for (size_t i = 0; i < names.size(); ++i) {
    numbers[i] = static_cast<double>(i);
    colours[i] = colour_of(static_cast<int>(i));
  }
  for (const PlottedBox& box : boxes) ++counts[static_cast<size_t>(box.class_id)];
  const double highest = std::max(counts.empty() ? 0.0 : std::ranges::max(counts), 1.0);
  script << fmt::format("set title 'Boxes of each class'\nset ylabel 'boxes'\nset yrange [0:{:g}]\n",
                        highest * 1.08);
  script << fmt::format("set xrange [-0.6:{:g}]\n", static_cast<double>(names.size()) - 0.4);
  if (names.size() <= kMostNames)
    script << fmt::format("set xtics rotate by 90 right nomirror scale 0.5 font ',{:.1f}' {}\n",
                          std::clamp(480.0 / static_cast<double>(names.size()), 6.0, 11.0),
                          class_ticks(names, kLongestTick));
  else
    script << fmt::format("set xlabel 'class'\nset xtics nomirror {}\n",
                          whole_tick_step(static_cast<double>(names.size())));
  const std::string block = script.data(std::vector{numbers, counts, colours});
  script << fmt::format(
      "set style fill solid 1.0 noborder\nset boxwidth 0.8\nset grid ytics linestyle 100\n"
      "plot {} using 1:2:3 with boxes linecolor rgb variable\n"
      "unset grid\nset xtics norotate autofreq nomirror scale 1 font ',11'\n",
      block);
}

void boxes_panel(PlotScript& script, std::span<const PlottedBox> boxes) {
  std::vector<std::vector<double>> columns(5);  // x, y, half width, half height, colour
  const size_t shown = std::min(boxes.size(), kMostBoxes);
  for (size_t i = 0; i < shown; ++i) {
    const PlottedBox& box = boxes[i * boxes.size() / shown];
    columns[0].push_back(0.5);
    columns[1].push_back(0.5);
    columns[2].push_back(box.box.width / 2);
    columns[3].push_back(box.box.height / 2);
    columns[4].push_back(kVeil + colour_of(box.class_id));
  }
  script << fmt::format("set title 'Shapes{}'\n",
                        shown < boxes.size() ? fmt::format(" of {} boxes", shown) : std::string());
  script << "set xlabel 'width'\nset ylabel 'height'\nset xrange [0:1]\nset yrange [0:1]\n";
  script << "set style fill empty\n";
  if (shown == 0)
    script << "plot NaN\n";
  else
    script << fmt::format("plot {} using 1:2:3:4:5 with boxxyerror linewidth 1 linecolor rgb variable\n",
                          script.data(columns));
}

void heat_panel(PlotScript& script, const std::vector<double>& counts, const char* title, const char* x,
                const char* y, bool downwards) {
  const double half = 0.5 / static_cast<double>(kBins);
  script << fmt::format("set title '{}'\nset xlabel '{}'\nset ylabel '{}'\n", title, x, y);
  script << fmt::format("set xrange [0:1]\nset yrange {}\nset cbrange [0:{:g}]\nset colorbox\n",
                        downwards ? "[1:0]" : "[0:1]", std::max(std::ranges::max(counts), 1.0));
  script << fmt::format(
      "plot {0} matrix using ($1*{1:.6f}+{2:.6f}):($2*{1:.6f}+{2:.6f}):3 with image pixels\n",
      script.grid(counts, kBins), 2 * half, half);
}

}  // namespace

std::string label_plot(std::span<const PlottedBox> boxes, std::span<const std::string> names) {
  const bool large = names.size() > kManyNames && names.size() <= kMostNames;
  const int side = large ? kLargeSide : kSide;
  PlotScript script(side, side, 11);
  script << "unset key\nset xtics nomirror\nset ytics nomirror\n"
         << kBluePalette << "set multiplot layout 2,2 margins 0.08,0.92,0.06,0.96 spacing 0.14,0.17\n";
  classes_panel(script, boxes, names);
  boxes_panel(script, boxes);
  // As in images, y grows downwards.
  heat_panel(script, histogram(boxes, &CentredBox<Normalised>::cx, &CentredBox<Normalised>::cy),
             "Centres, boxes in each cell", "x", "y", true);
  heat_panel(script, histogram(boxes, &CentredBox<Normalised>::width, &CentredBox<Normalised>::height),
             "Sizes, boxes in each cell", "width", "height", false);
  script << "unset multiplot\n";
  const std::string png = run_gnuplot(script.text());
  const image::Image image = image::decode_image(std::as_bytes(std::span(png)), "labels.jpg").image;
  return image::encode_jpeg(image.pixels(), {.subsample_chroma = false});
}

}  // namespace marrow::evaluate
