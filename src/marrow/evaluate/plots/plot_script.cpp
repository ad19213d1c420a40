#include "marrow/evaluate/plots/plot_script.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>

#include "marrow/base/utf8.h"
#include "marrow/detect/font_text.h"

namespace marrow::evaluate {
namespace {

constexpr std::string_view kEllipsis = "\u2026";
constexpr std::string_view kApostrophe = "\u2019";

// Latin, Greek and Cyrillic letters and common punctuation are in the fonts that gnuplot comes with; others
// where a font is installed. A character that is in none would be drawn as a box as large as the plot.
bool is_drawable(char32_t code) {
  const auto within = [&](char32_t first, char32_t last) { return first <= code && code <= last; };
  return within(0x20, 0x7e) || within(0xa0, 0x24f) || within(0x386, 0x3ce) || within(0x400, 0x45f) ||
         within(0x2010, 0x2026) || detect::can_draw(code);
}

// In letters of usual width.
double width_of(std::string_view character) {
  if (character.size() > 1) return 1;
  if (std::string_view("mwMW@%").find(character) != std::string_view::npos) return 1.6;
  return character[0] >= 'A' && character[0] <= 'Z' ? 1.25 : 1;
}

struct Shown {
  std::vector<std::string> characters;
  double width = 0;
};

Shown shown(std::string_view text, size_t longest) {
  Shown result;
  const auto room = static_cast<double>(longest);
  while (!text.empty() && result.width <= room) {
    const size_t length = utf8_length(text);
    const std::string_view one = text.substr(0, std::max<size_t>(length, 1));
    if (length == 0)
      result.characters.emplace_back("?");
    else if (is_control(code_point(one)))
      result.characters.emplace_back(" ");
    else
      result.characters.emplace_back(is_drawable(code_point(one)) ? one : "?");
    result.width += width_of(result.characters.back());
    text.remove_prefix(one.size());
  }
  if (result.width <= room) return result;
  while (result.width > room - 1 && !result.characters.empty()) {
    result.width -= width_of(result.characters.back());
    result.characters.pop_back();
  }
  result.characters.emplace_back(kEllipsis);
  result.width += 1;
  return result;
}

std::string quote(std::string_view text, size_t longest, bool tick) {
  std::string result = "'";
  for (const std::string& character : shown(text, longest).characters) {
    if (character == "'")
      result += kApostrophe;
    else
      result += tick && character == "%" ? "%%" : character;
  }
  return result + "'";
}

std::string number(double value) {
  return std::isfinite(value) ? fmt::format("{:.10g}", value) : "NaN";
}

}  // namespace

const char* const kBluePalette =
    "set palette defined (0 '#ffffff', 0.002 '#e8f1fa', 0.25 '#c6dbef', 0.5 '#6baed6', 0.75 '#2171b5', 1 "
    "'#08306b')\n";

std::string plot_text(std::string_view text, size_t longest) {
  return quote(text, longest, false);
}

std::string tick_text(std::string_view text, size_t longest) {
  return quote(text, longest, true);
}

size_t drawn_length(std::string_view text, size_t longest) {
  return static_cast<size_t>(std::ceil(shown(text, longest).width));
}

std::string class_text(const std::string& name, size_t class_id) {
  const auto is_lost = [&](std::string_view rest) {
    while (!rest.empty()) {
      const size_t length = utf8_length(rest);
      if (length == 0 || (!is_control(code_point(rest.substr(0, length))) &&
                          !is_drawable(code_point(rest.substr(0, length)))))
        return true;
      rest.remove_prefix(length);
    }
    return false;
  };
  return name.empty() || is_lost(name) ? std::to_string(class_id) : name;
}

std::string class_ticks(std::span<const std::string> names, size_t longest) {
  std::string ticks = "(";
  for (size_t i = 0; i < names.size(); ++i)
    ticks += fmt::format("{}{} {}", i == 0 ? "" : ", ", tick_text(class_text(names[i], i), longest), i);
  return ticks + ")";
}

int whole_tick_step(double range) {
  constexpr double kTicks = 5;
  int power = 1;
  while (true) {
    for (const int factor : {1, 2, 5})
      if (factor * power * kTicks >= range) return factor * power;
    if (power >= 100'000'000) return power;
    power *= 10;
  }
}

PlotScript::PlotScript(int width, int height, double font_size, PlotFormat format)
    : text_(fmt::format("set encoding utf8\n"
                        "set terminal {} noenhanced size {},{} font 'Sans,{:.1f}' linewidth 1 "
                        "background rgb 'white'\n"
                        "set border linecolor rgb '#404040'\n"
                        "set style line 100 linecolor rgb '#e0e0e0' linewidth 1\n",
                        format == PlotFormat::kSvg ? "svg" : "pngcairo", width, height, font_size)) {}

PlotScript& PlotScript::operator<<(std::string_view commands) {
  assert(commands.ends_with('\n'));
  text_ += commands;
  return *this;
}

std::string PlotScript::begin_data() {
  std::string name = fmt::format("$d{}", blocks_++);
  text_ += name + " << END_OF_DATA\n";
  return name;
}

std::string PlotScript::data(std::span<const std::vector<double>> columns) {
  const std::string name = begin_data();
  const size_t rows = columns.empty() ? 0 : columns[0].size();
  for (size_t row = 0; row < rows; ++row)
    for (size_t c = 0; c < columns.size(); ++c)
      text_ += number(columns[c][row]) + (c + 1 == columns.size() ? "\n" : " ");
  text_ += "END_OF_DATA\n";
  return name;
}

std::string PlotScript::grid(std::span<const double> values, size_t columns) {
  const std::string name = begin_data();
  for (size_t i = 0; i < values.size(); ++i)
    text_ += number(values[i]) + ((i + 1) % columns == 0 ? "\n" : " ");
  text_ += "END_OF_DATA\n";
  return name;
}

std::string PlotScript::text() const {
  return text_ + "unset output\n";
}

}  // namespace marrow::evaluate
