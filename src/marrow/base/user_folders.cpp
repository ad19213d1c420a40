#include "marrow/base/user_folders.h"

#include <cstdlib>

namespace marrow {

std::filesystem::path user_cache_folder() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::filesystem::path(value == nullptr ? "" : value);
  };
  if (const auto cache = variable("XDG_CACHE_HOME"); !cache.empty()) return cache / "marrow";
  const auto home = variable("HOME");
  return home.empty() ? home : home / ".cache" / "marrow";
}

}  // namespace marrow
