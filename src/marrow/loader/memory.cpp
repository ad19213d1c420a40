#include "marrow/loader/memory.h"

#include <algorithm>
#include <fstream>
#include <optional>
#include <string>

namespace marrow::loader {
namespace {

std::optional<uint64_t> read_number(const char* path) {
  std::ifstream file(path);
  uint64_t value = 0;
  if (file >> value) return value;
  return std::nullopt;  // no such file, or "max"
}

std::optional<uint64_t> system_available() {
  std::ifstream file("/proc/meminfo");
  std::string key;
  uint64_t kilobytes = 0;
  for (std::string unit; file >> key >> kilobytes;) {
    if (key == "MemAvailable:") return kilobytes * 1024;
    std::getline(file, unit);
  }
  return std::nullopt;
}

// Control groups, version 2 and 1, as a container sees its own.
std::optional<uint64_t> group_left() {
  constexpr const char* kPaths[][2] = {
      {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"},
      {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"}};
  for (const auto& [limit_path, used_path] : kPaths) {
    const auto limit = read_number(limit_path), used = read_number(used_path);
    if (limit && used) return *limit > *used ? *limit - *used : 0;
  }
  return std::nullopt;
}

}  // namespace

uint64_t available_memory() {
  const auto system = system_available(), group = group_left();
  if (system && group) return std::min(*system, *group);
  return system ? *system : group.value_or(0);
}

}  // namespace marrow::loader
