// Text in every script that an installed font has.
//
// FreeType is loaded, and the folders of fonts are looked through, when the first such text is drawn; who
// draws plain letters only does not pay for it. Any thread; one draws at a time.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace marrow::detect {

// A line of text. Rows from the top; the baseline is below row above - 1.
struct TextPixels {
  struct Pixel {
    std::array<uint8_t, 3> bgr = {};
    uint8_t cover = 0;  // of what lies below: 0 nothing, 255 all
  };
  int width = 0, above = 0, below = 0;
  std::vector<Pixel> pixels;  // width * (above + below)
};

// Whether an installed font has the character. False where FreeType is not installed.
bool can_draw(char32_t code_point);

// The whole text, or nothing where a character is in no font. `em` is the size of the type in pixels; letters
// have the colour, emoji of fonts in colours their own.
std::optional<TextPixels> draw_text(std::string_view utf8, int em, std::array<uint8_t, 3> bgr);

// What can be drawn of a class's name: the name; else its plain letters (ascii_text.h), where it has some for
// each of its own; else the number.
std::string drawable_name(const std::string& name, int class_id);

}  // namespace marrow::detect
