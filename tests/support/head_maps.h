// The maps of a detection head in memory of their own, and their gradients, in blocks of any number of lanes.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "marrow/base/random.h"
#include "marrow/loss/detection_input.h"

namespace marrow::testing {

struct MapSize {
  int64_t height = 1, width = 1;
};

// One map. Spare lanes hold NaN: who reads them shows it.
template <class T>
struct Map {
  loss::MapView<T> view;
  std::vector<T> numbers;

  Map(int64_t images, int64_t channels, MapSize size, int64_t lanes) {
    view = {nullptr, images, channels, size.height, size.width, lanes};
    view.image_step = (channels + lanes - 1) / lanes * lanes * view.pixels();
    numbers.assign(static_cast<size_t>(images * view.image_step), std::numeric_limits<T>::quiet_NaN());
    view.data = numbers.data();
  }
  Map(Map&&) noexcept = default;

  T& at(int64_t image, int64_t channel, int64_t pixel) const {
    return view.channel(image, channel)[pixel * view.lanes];
  }
  // Calls function(number) for every channel of every pixel, in the order of NCHW.
  template <class Function>
  void for_each(const Function& function) const {
    for (int64_t image = 0; image < view.images; ++image)
      for (int64_t c = 0; c < view.channels; ++c)
        for (int64_t pixel = 0; pixel < view.pixels(); ++pixel) function(at(image, c, pixel));
  }
};

template <class T>
loss::MapView<const T> constant(const loss::MapView<T>& map) {
  return {map.data, map.images, map.channels, map.height, map.width, map.lanes, map.image_step};
}

// Other maps beside a head's: those of its extra, prototypes.
template <class T>
struct MapList {
  std::vector<Map<T>> maps;

  std::vector<loss::MapView<const T>> views() const {
    std::vector<loss::MapView<const T>> views;
    for (const Map<T>& map : maps) views.push_back(constant(map.view));
    return views;
  }
  std::vector<loss::MapView<T>> mutable_views() const {
    std::vector<loss::MapView<T>> views;
    for (const Map<T>& map : maps) views.push_back(map.view);
    return views;
  }
};
// Of (N, C, H, W) float32.
template <class T>
MapList<T> map_list_of(const std::vector<Tensor>& tensors, int64_t lanes) {
  MapList<T> list;
  for (const Tensor& tensor : tensors) {
    list.maps.emplace_back(tensor.dim(0), tensor.dim(1), MapSize{tensor.dim(2), tensor.dim(3)}, lanes);
    size_t place = 0;
    list.maps.back().for_each([&](T& number) { number = tensor.values()[place++]; });
  }
  return list;
}

template <class T>
struct Level {
  Map<T> sides, classes;
};

template <class T>
class HeadMaps {
 public:
  HeadMaps(int64_t images, int classes, int reg_max, const std::vector<MapSize>& sizes, int64_t lanes = 1) {
    for (const MapSize& size : sizes)
      levels_.push_back({{images, 4 * reg_max, size, lanes}, {images, classes, size, lanes}});
  }

  const std::vector<Level<T>>& levels() const { return levels_; }
  // Every channel of every level, the sides first.
  template <class Function>
  void for_each(const Function& function) const {
    for (const Level<T>& level : levels_) {
      level.sides.for_each(function);
      level.classes.for_each(function);
    }
  }
  std::vector<T> values() const {
    std::vector<T> values;
    for_each([&](T value) { values.push_back(value); });
    return values;
  }
  std::vector<loss::LevelMaps<const T>> views() const {
    std::vector<loss::LevelMaps<const T>> views;
    for (const Level<T>& level : levels_)
      views.push_back({constant(level.sides.view), constant(level.classes.view)});
    return views;
  }
  std::vector<loss::LevelMaps<T>> mutable_views() const {
    std::vector<loss::LevelMaps<T>> views;
    for (const Level<T>& level : levels_) views.push_back({level.sides.view, level.classes.view});
    return views;
  }

 private:
  std::vector<Level<T>> levels_;
};

// visit(number of the map, place in the tensor (N, 4 * reg_max + classes, H, W) that joins the two).
template <class T, class Visit>
void for_joined(const Level<T>& level, const Visit& visit) {
  const int64_t pixels = level.sides.view.pixels();
  const int64_t channels = level.sides.view.channels + level.classes.view.channels;
  const auto visit_part = [&](const Map<T>& map, int64_t first) {
    for (int64_t image = 0; image < map.view.images; ++image)
      for (int64_t c = 0; c < map.view.channels; ++c)
        for (int64_t pixel = 0; pixel < pixels; ++pixel)
          visit(map.at(image, c, pixel),
                static_cast<size_t>((image * channels + first + c) * pixels + pixel));
  };
  visit_part(level.sides, 0);
  visit_part(level.classes, level.sides.view.channels);
}

// From such tensors of float32, one a level, and back.
template <class T>
HeadMaps<T> head_maps_of(const std::vector<Tensor>& maps, int classes, int64_t lanes) {
  std::vector<MapSize> sizes;
  for (const Tensor& map : maps) sizes.push_back({map.dim(2), map.dim(3)});
  const auto reg_max = static_cast<int>((maps.at(0).dim(1) - classes) / 4);
  HeadMaps<T> copy(maps[0].dim(0), classes, reg_max, sizes, lanes);
  for (size_t l = 0; l < maps.size(); ++l)
    for_joined(copy.levels()[l], [&](T& number, size_t place) { number = maps[l].values()[place]; });
  return copy;
}
template <class T>
Tensor joined(const Level<T>& level) {
  const loss::MapView<T>& sides = level.sides.view;
  Tensor tensor({sides.images, sides.channels + level.classes.view.channels, sides.height, sides.width},
                dtype_of<T>());
  for_joined(level, [&](T number, size_t place) { tensor.values<T>()[place] = number; });
  return tensor;
}

// Normally distributed logits, and distances of about a cell, so that boxes are as large as objects.
template <class T>
void fill_with_noise(const HeadMaps<T>& maps, uint64_t seed) {
  Random random(seed, "maps");
  for (const Level<T>& level : maps.levels()) {
    const int64_t bins = level.sides.view.channels / 4;
    int64_t number = 0;
    level.sides.for_each([&](T& value) {
      const int64_t bin = number++ / level.sides.view.pixels() % bins;
      value = static_cast<T>(bins == 1 ? 0.5 + std::abs(random.normal())
                                       : random.normal() - 0.5 * static_cast<double>(bin));
    });
    level.classes.for_each([&](T& value) { value = static_cast<T>(random.normal() - 1); });
  }
}

inline Tensor rows_of(int64_t columns, const std::vector<float>& values) {
  return Tensor::from({std::ssize(values) / columns, columns}, values);
}

}  // namespace marrow::testing
