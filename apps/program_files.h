// Programs that are installed with this one.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace marrow::cli {

// Beside this program, or in the PATH.
std::optional<std::filesystem::path> find_beside(const std::string& program);

}  // namespace marrow::cli
