// A folder that a test fills with small files and images, gone afterwards.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "marrow/image/encode.h"
#include "marrow/image/scene.h"
#include "support/message_of.h"

namespace marrow::testing {

class DataFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::canonical(::testing::TempDir()) / ("marrow_data_" + std::to_string(getpid()));
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path write(const std::string& name, const std::string& content) {
    std::filesystem::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary) << content;
    return folder_ / name;
  }
  // An image of 40 x 20 pixels; other seeds give other images.
  std::filesystem::path write_picture(const std::string& name, uint64_t seed = 1, int width = 40,
                                      int height = 20) {
    return write(name, image::encode_png(image::draw_scene(width, height, seed).pixels()));
  }

  std::filesystem::path folder_;
};

}  // namespace marrow::testing
