#include "reliability/faulty_run.h"

#include <cstdlib>

#include "support/environment.h"

namespace marrow::testing {

std::string NotedCall::file() const {
  std::string file = fs::path(path).filename().string();
  if (file.starts_with('#')) return {};
  if (!file.starts_with('.') || !file.ends_with(".tmp")) return file;
  file = file.substr(1, file.size() - 5);
  return file.substr(0, file.rfind('.'));
}

FaultyResult run_with_fault(const std::string& fault, const std::vector<std::string>& arguments,
                            const fs::path& folder, double killed_after) {
  const TemporaryFolder logs;
  const Environment library("LD_PRELOAD", MARROW_FAULTS_LIBRARY), plan("MARROW_FAULT", fault.c_str()),
      log("MARROW_FAULT_LOG", (logs / "log").c_str()), cache("XDG_CACHE_HOME", (folder / "cache").c_str());
  FaultyResult result;
  result.program =
      run_program(arguments, {.folder = folder, .seconds = kPatience, .killed_after = killed_after});
  for (const std::string& line : lines_of(read_text(logs / "log"))) {
    const size_t space = line.find(' ');
    result.calls.push_back({line.substr(0, space), line.substr(space + 1)});
  }
  return result;
}

int wanted_faults() {
  const char* wanted = std::getenv("MARROW_FAULTS");
  return wanted == nullptr ? 0 : std::atoi(wanted);
}

}  // namespace marrow::testing
