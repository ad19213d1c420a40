// Writing the many small files of a dataset.
#pragma once

#include <filesystem>
#include <string_view>

namespace marrow::data {

// Without syncing each file: a dataset has a hundred thousand of them, and its data.yaml, which is written
// atomically, comes last. Throws Error{kFile}.
void write_plainly(const std::filesystem::path& file, std::string_view content);

}  // namespace marrow::data
