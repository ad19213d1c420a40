// The files of write_api_files(), made once for a program of tests, and small helpers.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "api/made_files.h"
#include "support/temporary_folder.h"

namespace marrow::testing {

inline std::filesystem::path api_file(const std::string& name) {
  static const TemporaryFolder folder;
  static const bool made = [] {
    write_api_files(folder.path());
    return true;
  }();
  (void)made;
  return folder / name;
}

inline std::vector<std::byte> bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> content{std::istreambuf_iterator<char>(file), {}};
  const auto* bytes = reinterpret_cast<const std::byte*>(content.data());
  return {bytes, bytes + content.size()};
}

}  // namespace marrow::testing
