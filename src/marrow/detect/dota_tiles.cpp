#include "marrow/detect/dota_tiles.h"

#include <charconv>

namespace marrow::detect {
namespace {

constexpr int kFarthest = 1 << 24;  // pixels that float32 tells apart

std::optional<int> place_in(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && value >= 0 && value < kFarthest ? std::optional(value) : std::nullopt;
}

}  // namespace

std::optional<DotaTile> dota_tile(std::string_view name) {
  const size_t down = name.rfind("___"), image = name.find("__");
  if (down == std::string_view::npos || image == 0) return std::nullopt;
  const size_t right = name.substr(0, down).rfind("__");
  if (right == std::string_view::npos || right < image + 3) return std::nullopt;
  const auto x = place_in(name.substr(right + 2, down - right - 2)), y = place_in(name.substr(down + 3));
  if (!x || !y) return std::nullopt;
  return DotaTile{std::string(name.substr(0, image)), *x, *y};
}

DotaPredictions::DotaPredictions(std::span<const std::string> names)
    : names_(names.begin(), names.end()), pictures_(names) {}

void DotaPredictions::add(const std::string& picture, int class_id, double score,
                          const RotatedBox<ImagePixels>& box) {
  pictures_.add(picture, class_id, score, box);
  const std::optional<DotaTile> tile = dota_tile(picture);
  if (!tile || !is_finite(box)) return;
  const auto [place, is_new] = places_.try_emplace(tile->image, images_.size());
  if (is_new) images_.push_back({tile->image, {}});
  RotatedBox<ImagePixels> moved = box;
  moved.cx += static_cast<float>(tile->x);
  moved.cy += static_cast<float>(tile->y);
  images_[place->second].found.push_back({moved, score, class_id});
}

DotaText DotaPredictions::merged() const {
  DotaText text(names_);
  for (const auto& [image, found] : images_)
    for (const size_t i : best_of_tiles(found, kTurnedOverlap, false))
      text.add(image, found[i].class_id, found[i].score, found[i].box);
  return text;
}

void DotaPredictions::write(const std::filesystem::path& folder) const {
  pictures_.write(folder / "predictions_txt");
  if (has_tiles()) merged().write(folder / "predictions_merged_txt");
}

}  // namespace marrow::detect
