// Paths that were written on another machine, or by a program that was started elsewhere.
#pragma once

#include <filesystem>
#include <optional>
#include <string_view>

namespace marrow::data {

// The longest end of the path that is there below `folder`: "/content/set/train/images" and
// "C:\set\train\images" are found as FOLDER/train/images. One name alone says too little, unless the path's
// own folder is called as `folder` is, or `name_suffices`. Backslashes are slashes. Nothing is found of a
// path that no system takes, above kLongestPath bytes.
std::optional<std::filesystem::path> end_below(const std::filesystem::path& folder, std::string_view path,
                                               bool name_suffices = false);

inline constexpr size_t kLongestPath = 4095;

}  // namespace marrow::data
