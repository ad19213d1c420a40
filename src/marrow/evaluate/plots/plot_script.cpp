#include "marrow/evaluate/plots/plot_script.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>

namespace marrow::evaluate {
namespace {

constexpr std::string_view kEllipsis = "\u2026";
constexpr std::string_view kApostrophe = "\u2019";

// The length of the UTF-8 character at the start of the text; 0 when it is broken.
size_t character_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
  if (length == 0 || first > 0xf4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  // Overlong forms, surrogates, and what lies beyond Unicode.
  if ((first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) > 0x9f)) return 0;
  if ((first == 0xf0 && byte(1) < 0x90) || (first == 0xf4 && byte(1) > 0x8f)) return 0;
  return length;
}

bool is_control(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  if (first < 0x20 || first == 0x7f) return true;
  return first == 0xc2 && static_cast<unsigned char>(character[1]) < 0xa0;
}

// Latin, Greek and Cyrillic letters and common punctuation are in the fonts that gnuplot comes with. A
// character that is not would be drawn as a box as large as the plot.
bool is_drawable(std::string_view character) {
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(character[i])); };
  if (character.size() == 1) return true;
  if (character.size() > 3) return false;
  const uint32_t code = character.size() == 2
                            ? (byte(0) & 0x1f) << 6 | (byte(1) & 0x3f)
                            : (byte(0) & 0x0f) << 12 | (byte(1) & 0x3f) << 6 | (byte(2) & 0x3f);
  const auto within = [&](uint32_t first, uint32_t last) { return first <= code && code <= last; };
  return within(0xa0, 0x24f) || within(0x386, 0x3ce) || within(0x400, 0x45f) || within(0x2010, 0x2026);
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
    const size_t length = character_length(text);
    const std::string_view one = text.substr(0, std::max<size_t>(length, 1));
    if (length == 0)
      result.characters.emplace_back("?");
    else if (is_control(one))
      result.characters.emplace_back(" ");
    else
      result.characters.emplace_back(is_drawable(one) ? one : "?");
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

std::string class_ticks(std::span<const std::string> names, size_t longest) {
  std::string ticks = "(";
  for (size_t i = 0; i < names.size(); ++i)
    ticks += fmt::format("{}{} {}", i == 0 ? "" : ", ",
                         tick_text(names[i].empty() ? std::to_string(i) : names[i], longest), i);
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
