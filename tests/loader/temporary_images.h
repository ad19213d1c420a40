// A folder of small drawn images with labels, removed again at the end.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "marrow/base/random.h"
#include "marrow/data/labels.h"
#include "marrow/image/encode.h"

namespace marrow::testing {

class TemporaryImages {
 public:
  TemporaryImages() : folder_(std::filesystem::path(::testing::TempDir()) / ("marrow_loader_" + unique())) {
    std::filesystem::create_directories(folder_);
  }
  ~TemporaryImages() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  std::filesystem::path path(size_t i) const { return folder_ / (std::to_string(i) + ".png"); }

  // Noise of some size, with a box or two (every third has none), and an outline where `outlines` is set.
  void add(int width, int height, bool outlines = false) {
    const size_t i = images.size();
    image::Image picture(width, height);
    Random random(7, i);
    for (size_t b = 0; b < picture.byte_size(); ++b)
      picture.row(0)[b] = static_cast<uint8_t>(random.below(256));
    image::write_image(path(i), picture.pixels());
    data::LabelledImage image{{}, path(i), width, height};
    for (size_t k = 0; k < i % 3; ++k) {
      const double cx = 0.3 + 0.4 * random.uniform(), cy = 0.3 + 0.4 * random.uniform();
      image.labels.push_back({static_cast<int>(k), cx, cy, 0.5, 0.4});
      if (outlines)
        image.polygons.push_back({{cx - 0.25, cy}, {cx, cy - 0.2}, {cx + 0.25, cy}, {cx, cy + 0.2}});
    }
    images.push_back(std::move(image));
  }

  // Several, of sizes from tall to wide.
  void add_some(size_t count, bool outlines = false) {
    for (size_t i = 0; i < count; ++i)
      add(20 + static_cast<int>(i * 7 % 41), 20 + static_cast<int>(i * 11 % 37), outlines);
  }

  void spoil(size_t i) const { std::ofstream(path(i), std::ios::trunc) << "this is no image"; }

  std::vector<data::LabelledImage> images;

 private:
  static std::string unique() {
    static int number = 0;
    return std::to_string(::getpid()) + "_" + std::to_string(number++);
  }
  std::filesystem::path folder_;
};

}  // namespace marrow::testing
