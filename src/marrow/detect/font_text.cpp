#include "marrow/detect/font_text.h"

#include <dlfcn.h>
#include <ft2build.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <mutex>
#include FT_FREETYPE_H

#include "marrow/base/talk.h"
#include "marrow/detect/ascii_text.h"
#include "marrow/detect/installed_fonts.h"
#include "marrow/detect/text_order.h"

namespace marrow::detect {
namespace {

namespace fs = std::filesystem;

// The functions of FreeType, which is not linked: its libraries would add to every start of the program.
struct FreeType {
  decltype(&FT_Init_FreeType) init = nullptr;
  decltype(&FT_New_Face) new_face = nullptr;
  decltype(&FT_Done_Face) done_face = nullptr;
  decltype(&FT_Get_Char_Index) char_index = nullptr;
  decltype(&FT_Set_Pixel_Sizes) set_pixel_sizes = nullptr;
  decltype(&FT_Select_Size) select_size = nullptr;
  decltype(&FT_Load_Glyph) load_glyph = nullptr;
  FT_Library library = nullptr;

  FreeType() {
    void* handle = ::dlopen("libfreetype.so.6", RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
      debug("text is drawn in plain letters: FreeType is not installed");
      return;
    }
    const bool found =
        take(handle, "FT_Init_FreeType", init) && take(handle, "FT_New_Face", new_face) &&
        take(handle, "FT_Done_Face", done_face) && take(handle, "FT_Get_Char_Index", char_index) &&
        take(handle, "FT_Set_Pixel_Sizes", set_pixel_sizes) && take(handle, "FT_Select_Size", select_size) &&
        take(handle, "FT_Load_Glyph", load_glyph);
    if (!found || init(&library) != 0) library = nullptr;
  }

 private:
  template <class Function>
  static bool take(void* handle, const char* name, Function& function) {
    function = reinterpret_cast<Function>(::dlsym(handle, name));
    return function != nullptr;
  }
};

using Pixel = TextPixels::Pixel;

// One letter, relative to the pen on the baseline.
struct Glyph {
  int left = 0, top = 0;  // of the pixels: right of the pen, above the baseline
  int width = 0, height = 0;
  int advance = 0;
  std::vector<Pixel> pixels;
};

uint8_t byte(double value) {
  return static_cast<uint8_t>(std::lround(std::clamp(value, 0.0, 255.0)));
}

// FreeType's three kinds of bitmaps that fonts in use have.
Pixel pixel_of(const FT_Bitmap& bitmap, int x, int y, std::array<uint8_t, 3> bgr) {
  const uint8_t* row = bitmap.buffer + std::ptrdiff_t{y} * bitmap.pitch;
  if (bitmap.pixel_mode == FT_PIXEL_MODE_GRAY) return {bgr, row[x]};
  if (bitmap.pixel_mode == FT_PIXEL_MODE_MONO)
    return {bgr, static_cast<uint8_t>((row[x / 8] >> (7 - x % 8)) & 1 ? 255 : 0)};
  if (bitmap.pixel_mode != FT_PIXEL_MODE_BGRA) return {};
  const uint8_t* p = row + std::ptrdiff_t{4} * x;
  if (p[3] == 0) return {};
  const auto plain = [&](uint8_t value) {
    return byte(value * 255.0 / p[3]);
  };  // it is multiplied by the cover
  return {{plain(p[0]), plain(p[1]), plain(p[2])}, p[3]};
}

// Smaller by the mean of the pixels that fall together, weighted by what they cover.
Glyph shrunk(const Glyph& glyph, double scale) {
  Glyph result;
  result.left = static_cast<int>(std::lround(glyph.left * scale));
  result.top = static_cast<int>(std::lround(glyph.top * scale));
  result.advance = static_cast<int>(std::lround(glyph.advance * scale));
  result.width = std::max(1, static_cast<int>(std::lround(glyph.width * scale)));
  result.height = std::max(1, static_cast<int>(std::lround(glyph.height * scale)));
  for (int y = 0; y < result.height; ++y)
    for (int x = 0; x < result.width; ++x) {
      const int x1 = x * glyph.width / result.width, y1 = y * glyph.height / result.height;
      const int x2 = std::max(x1 + 1, (x + 1) * glyph.width / result.width);
      const int y2 = std::max(y1 + 1, (y + 1) * glyph.height / result.height);
      double sums[4] = {};
      for (int v = y1; v < std::min(y2, glyph.height); ++v)
        for (int u = x1; u < std::min(x2, glyph.width); ++u) {
          const Pixel& pixel =
              glyph
                  .pixels[static_cast<size_t>(v) * static_cast<size_t>(glyph.width) + static_cast<size_t>(u)];
          for (size_t c = 0; c < 3; ++c) sums[c] += pixel.bgr[c] * pixel.cover;
          sums[3] += pixel.cover;
        }
      Pixel pixel;
      for (size_t c = 0; sums[3] > 0 && c < 3; ++c) pixel.bgr[c] = byte(sums[c] / sums[3]);
      pixel.cover = byte(sums[3] / ((x2 - x1) * (y2 - y1)));
      result.pixels.push_back(pixel);
    }
  return result;
}

class Fonts {
 public:
  static Fonts& installed() {
    static Fonts fonts;
    return fonts;
  }

  bool has(char32_t code) {
    const std::lock_guard lock(mutex_);
    return face_of(code) != nullptr;
  }

  std::optional<TextPixels> draw(const std::u32string& text, int em, std::array<uint8_t, 3> bgr) {
    const std::lock_guard lock(mutex_);
    std::vector<Glyph> glyphs;
    for (const char32_t code : text) {
      FT_Face face = face_of(code);
      if (face == nullptr) return std::nullopt;
      glyphs.push_back(glyph_of(face, code, em, bgr));
    }
    return set(glyphs);
  }

 private:
  // The first font that has the character. Those that had others are asked first, so that a text keeps its
  // font.
  FT_Face face_of(char32_t code) {
    if (free_type_.library == nullptr) return nullptr;
    if (const auto known = by_code_.find(code); known != by_code_.end()) return known->second;
    FT_Face face = search(code);
    by_code_.emplace(code, face);
    return face;
  }

  FT_Face search(char32_t code) {
    for (FT_Face face : faces_)
      if (free_type_.char_index(face, code) != 0) return face;
    if (vain_searches_ >= kMostVainSearches) return nullptr;
    if (!is_listed_) files_ = installed_fonts();
    is_listed_ = true;
    for (fs::path& file : files_) {
      FT_Face face = nullptr;
      if (file.empty() || free_type_.new_face(free_type_.library, file.c_str(), 0, &face) != 0) continue;
      if (free_type_.char_index(face, code) != 0) {
        debug("text is drawn with " + file.string());
        file.clear();
        return faces_.emplace_back(face);
      }
      free_type_.done_face(face);
    }
    ++vain_searches_;
    return nullptr;
  }

  Glyph glyph_of(FT_Face face, char32_t code, int em, std::array<uint8_t, 3> bgr) {
    double scale = 1;
    if (FT_IS_SCALABLE(face)) {
      free_type_.set_pixel_sizes(face, 0, static_cast<FT_UInt>(em));
    } else {
      scale = select_strike(face, em);
    }
    constexpr FT_Int32 kHow = FT_LOAD_RENDER | FT_LOAD_COLOR;
    if (free_type_.load_glyph(face, free_type_.char_index(face, code), kHow) != 0)
      return {.advance = em / 2};  // a broken font: a gap
    FT_GlyphSlot slot = face->glyph;
    Glyph glyph{.left = slot->bitmap_left,
                .top = slot->bitmap_top,
                .width = static_cast<int>(slot->bitmap.width),
                .height = static_cast<int>(slot->bitmap.rows),
                .advance = static_cast<int>((slot->advance.x + 32) >> 6)};
    for (int y = 0; y < glyph.height; ++y)
      for (int x = 0; x < glyph.width; ++x) glyph.pixels.push_back(pixel_of(slot->bitmap, x, y, bgr));
    return scale < 1 && !glyph.pixels.empty() ? shrunk(glyph, scale) : glyph;
  }

  // A font of pixels: its smallest size from `em` up, or its largest. Returns what `em` is of that.
  double select_strike(FT_Face face, int em) {
    int best = 0;
    const auto size = [&](int i) { return static_cast<double>(face->available_sizes[i].y_ppem) / 64; };
    for (int i = 1; i < face->num_fixed_sizes; ++i) {
      const bool fits = size(i) >= em, best_fits = size(best) >= em;
      if (fits ? !best_fits || size(i) < size(best) : !best_fits && size(i) > size(best)) best = i;
    }
    if (face->num_fixed_sizes == 0 || free_type_.select_size(face, best) != 0) return 1;
    return em / size(best);
  }

  static TextPixels set(const std::vector<Glyph>& glyphs) {
    TextPixels line;
    int pen = 0, left = 0;
    for (const Glyph& glyph : glyphs) {
      left = std::min(left, pen + glyph.left);
      line.width = std::max({line.width, pen + glyph.left + glyph.width, pen + glyph.advance});
      line.above = std::max(line.above, glyph.top);
      line.below = std::max(line.below, glyph.height - glyph.top);
      pen += glyph.advance;
    }
    line.width -= left;
    line.pixels.resize(static_cast<size_t>(line.width) * static_cast<size_t>(line.above + line.below));
    pen = -left;
    for (const Glyph& glyph : glyphs) {
      for (int y = 0; y < glyph.height; ++y)
        for (int x = 0; x < glyph.width; ++x) {
          const Pixel& pixel =
              glyph
                  .pixels[static_cast<size_t>(y) * static_cast<size_t>(glyph.width) + static_cast<size_t>(x)];
          Pixel& place =
              line.pixels[static_cast<size_t>(line.above - glyph.top + y) * static_cast<size_t>(line.width) +
                          static_cast<size_t>(pen + glyph.left + x)];
          if (pixel.cover >= place.cover) place = pixel;
        }
      pen += glyph.advance;
    }
    return line;
  }

  static constexpr int kMostVainSearches = 100;  // each opens every font

  std::mutex mutex_;
  FreeType free_type_;
  bool is_listed_ = false;
  std::vector<fs::path> files_;  // without those that are open
  std::vector<FT_Face> faces_;
  std::map<char32_t, FT_Face> by_code_;
  int vain_searches_ = 0;
};

bool is_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

}  // namespace

bool can_draw(char32_t code) {
  return Fonts::installed().has(code);
}

std::optional<TextPixels> draw_text(std::string_view utf8, int em, std::array<uint8_t, 3> bgr) {
  return Fonts::installed().draw(in_drawing_order(utf8), em, bgr);
}

std::string drawable_name(const std::string& name, int class_id) {
  if (is_ascii(name)) return name;
  if (std::ranges::all_of(in_drawing_order(name), can_draw)) return name;
  const auto questions = [](std::string_view text) { return std::ranges::count(text, '?'); };
  const std::string plain = ascii_text(name);
  return questions(plain) == questions(name) ? plain : std::to_string(class_id);
}

}  // namespace marrow::detect
