// The maps of a head's extra, where the loss reads and writes them: numbers of one cell at a time.
#pragma once

#include <fmt/format.h>

#include <span>
#include <vector>

#include "marrow/base/error.h"
#include "marrow/loss/anchors.h"
#include "marrow/loss/map_view.h"

namespace marrow::loss {

template <class T>
std::vector<double> numbers_at(const MapView<const T>& map, int64_t image, int64_t cell) {
  std::vector<double> numbers;
  for (int64_t c = 0; c < map.channels; ++c) numbers.push_back(map.channel(image, c)[cell * map.lanes]);
  return numbers;
}
template <class T>
void write_at(const MapView<T>& map, int64_t image, int64_t cell, std::span<const double> numbers) {
  for (int64_t c = 0; c < map.channels; ++c)
    map.channel(image, c)[cell * map.lanes] = static_cast<T>(numbers[static_cast<size_t>(c)]);
}

// Throws Error{kShape} unless there is a map of `channels` for every level, and gradients for all or none.
template <class T>
void check_extra_maps(std::span<const MapView<const T>> maps, std::span<const MapView<T>> gradients,
                      std::span<const AnchorLevel> levels, int64_t images, int64_t channels) {
  const auto refuse = [&](const std::string& what) { throw Error(ErrorKind::kShape, what); };
  if (maps.size() != levels.size() || (!gradients.empty() && gradients.size() != levels.size()))
    refuse(fmt::format("{} maps of an extra and {} gradients for {} levels", maps.size(), gradients.size(),
                       levels.size()));
  for (size_t l = 0; l < levels.size(); ++l) {
    const Shape wanted = {images, channels, levels[l].height, levels[l].width};
    if (maps[l].shape() != wanted || (!gradients.empty() && gradients[l].shape() != wanted))
      refuse(fmt::format("the map of an extra is {}; the loss wants {}", to_string(maps[l].shape()),
                         to_string(wanted)));
  }
}

}  // namespace marrow::loss
