// Reading of the rows in COCO's JSON files; for coco_files.cpp.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

namespace marrow::evaluate {

// The fields of one row that somebody asks for; those that were not there, or were null, are empty.
struct CocoRow {
  std::string section;  // "annotations"; empty in a file that is one list
  size_t position = 0;  // in its section

  std::optional<int64_t> id, image_id, category_id;
  std::optional<std::string> image_name;  // an image_id that is text
  std::optional<std::string> name, file_name;
  std::optional<std::array<double, 4>> bbox;
  std::optional<double> area, score;
  std::optional<bool> crowd;
};

// Calls `row` for every object in the lists of the file's outermost object, or in its outermost list when
// `is_list`. Throws Error{kFile} or Error{kFormat}; so may `row`.
void read_coco_rows(const std::filesystem::path& path, bool is_list,
                    const std::function<void(CocoRow&)>& row);

}  // namespace marrow::evaluate
