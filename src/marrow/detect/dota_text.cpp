#include "marrow/detect/dota_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "marrow/base/files.h"
#include "marrow/base/run_folder.h"
#include "marrow/base/text.h"
#include "marrow/detect/save.h"

namespace marrow::detect {
namespace {

double rounded(double value, double steps) {
  return std::isfinite(value) ? std::nearbyint(value * steps) / steps : 0.0;
}

}  // namespace

DotaText::DotaText(std::span<const std::string> names) {
  std::set<std::string> taken;  // in lower case, which some disks take for the same
  for (const std::string& name : names) {
    std::string word = "Task1_" + folder_name(name);
    std::ranges::replace(word, ' ', '-');
    std::string unique = word;
    for (int number = 2; !taken.insert(to_lower(unique)).second; ++number)
      unique = fmt::format("{}_{}", word, number);
    files_.push_back({unique + ".txt", ""});
  }
}

void DotaText::add(const std::string& image, int class_id, double score, const RotatedBox<ImagePixels>& box) {
  if (class_id < 0 || static_cast<size_t>(class_id) >= files_.size()) return;
  std::string word = image;
  std::ranges::replace_if(
      word, [](char c) { return static_cast<unsigned char>(c) <= ' '; }, '_');
  std::string line = fmt::format("{} {}", word, rounded(score, 1e5));
  for (const auto& [x, y] : box.corners()) line += fmt::format(" {} {}", rounded(x, 1e3), rounded(y, 1e3));
  files_[static_cast<size_t>(class_id)].text += line + '\n';
}

void DotaText::write(const std::filesystem::path& folder) const {
  make_folders(folder);
  for (const auto& [name, text] : files_) write_file_atomically(folder / name, text);
}

}  // namespace marrow::detect
