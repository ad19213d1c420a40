// Where the parity tests find what they are compared with. They walk these folders and name no case.
#pragma once

#include <cstdlib>
#include <filesystem>

namespace marrow::testing {

// MARROW_GOLDEN, or the folder shared/golden beside the checkout. May not exist: then parity tests skip,
// saying so.
inline std::filesystem::path golden_folder() {
  if (const char* folder = std::getenv("MARROW_GOLDEN"); folder != nullptr && *folder != '\0') return folder;
  return std::filesystem::path(MARROW_SOURCE_DIR) / ".." / "shared" / "golden";
}

// Photos, odd files and checkpoints lie beside the golden folder.
inline std::filesystem::path data_folder() {
  return golden_folder() / ".." / "data";
}
inline std::filesystem::path weights_folder() {
  return golden_folder() / ".." / "weights";
}

}  // namespace marrow::testing

// For tests that need a file or folder which a bare clone lacks.
#define MARROW_NEEDS(path) \
  if (!std::filesystem::exists(path)) GTEST_SKIP() << (path).string() << " is not here"
