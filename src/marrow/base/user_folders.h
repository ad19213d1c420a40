// Folders that the system's conventions set aside for a user's files.
#pragma once

#include <filesystem>

namespace marrow {

// What may be made again at any time: $XDG_CACHE_HOME/marrow or ~/.cache/marrow; empty where neither variable
// is set. Not created.
std::filesystem::path user_cache_folder();

}  // namespace marrow
