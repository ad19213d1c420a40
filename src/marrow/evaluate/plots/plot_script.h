// The text that gnuplot reads, put together so that nothing out of a file can become a command: text goes
// through plot_text(), numbers through data blocks.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace marrow::evaluate {

// `text` as a gnuplot string in single quotes, in which nothing has a meaning but the quote itself. That
// becomes a
// typographic one: gnuplot takes a doubled one at the start of a string for the end of an empty string.
// Broken UTF-8, and what no installed font has, becomes '?'; control characters become spaces.
// What is wider than `longest` usual letters ends in an ellipsis.
std::string plot_text(std::string_view text, size_t longest = 60);

// The same for a label of an axis' tick, where gnuplot would replace %g by the position.
std::string tick_text(std::string_view text, size_t longest = 60);

// The name of a class where it can be drawn, else its number.
std::string class_text(const std::string& name, size_t class_id);

// "('cat' 0, 'dog' 1, ...)", for `set xtics`, by class_text.
std::string class_ticks(std::span<const std::string> names, size_t longest);

// How wide that is drawn, in usual letters.
size_t drawn_length(std::string_view text, size_t longest);

// The step between ticks of an axis of whole numbers that is `range` long: 1, 2, 5, 10, ... about five of
// them.
int whole_tick_step(double range);

// White for nothing at all, then light to dark blue.
extern const char* const kBluePalette;

enum class PlotFormat { kPng, kSvg };

class PlotScript {
 public:
  // A plot of width x height pixels on white, all fonts sans serif of this size.
  PlotScript(int width, int height, double font_size, PlotFormat format = PlotFormat::kPng);

  PlotScript& operator<<(std::string_view commands);  // lines; each ends with \n

  // Adds a block of rows and returns its name, "$d0". Not-finite numbers become NaN, which gnuplot leaves
  // out.
  std::string data(std::span<const std::vector<double>> columns);
  // The same from values row by row.
  std::string grid(std::span<const double> values, size_t columns);

  // The script so far, complete.
  std::string text() const;

 private:
  std::string begin_data();

  std::string text_;
  int blocks_ = 0;
};

}  // namespace marrow::evaluate
