#include "marrow/detect/installed_fonts.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "marrow/base/text.h"

namespace marrow::detect {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> font_folders() {
  std::vector<fs::path> folders;
  const char* home = std::getenv("HOME");
  if (const char* data = std::getenv("XDG_DATA_HOME"); data != nullptr && *data != '\0')
    folders.push_back(fs::path(data) / "fonts");
  else if (home != nullptr)
    folders.push_back(fs::path(home) / ".local/share/fonts");
  if (home != nullptr) folders.push_back(fs::path(home) / ".fonts");
  folders.insert(folders.end(), {"/usr/local/share/fonts", "/usr/share/fonts"});
  return folders;
}

bool is_font(const fs::path& path) {
  const std::string suffix = to_lower(path.extension().string());
  return suffix == ".ttf" || suffix == ".otf" || suffix == ".ttc" || suffix == ".otc";
}

// How far a font is from plain type, by its name.
int fanciness(const fs::path& path) {
  const std::string name = to_lower(path.stem().string());
  int marks = name.find("sans") == std::string::npos ? 1 : 0;
  for (const char* style :
       {"bold", "italic", "oblique", "mono", "condensed", "light", "thin", "black", "math"})
    marks += name.find(style) != std::string::npos ? 2 : 0;
  return marks;
}

}  // namespace

std::vector<fs::path> installed_fonts() {
  std::vector<fs::path> fonts;
  for (const fs::path& folder : font_folders()) {
    std::error_code error;
    fs::recursive_directory_iterator entry(folder, fs::directory_options::skip_permission_denied, error), end;
    for (; !error && entry != end && fonts.size() < kMostFonts; entry.increment(error))
      if (is_font(entry->path())) fonts.push_back(entry->path());
  }
  std::ranges::sort(fonts, [](const fs::path& a, const fs::path& b) {
    const int left = fanciness(a), right = fanciness(b);
    return left != right ? left < right : a < b;
  });
  return fonts;
}

}  // namespace marrow::detect
