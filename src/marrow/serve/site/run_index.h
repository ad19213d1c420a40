// Training runs below a folder: their curves, settings and pictures. Clients name runs by number, and
// pictures by a name that stands in the run's folder; no part of a request becomes a path.
#pragma once

#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

#include "marrow/serve/http/message.h"

namespace marrow::serve {

// Any thread.
class RunIndex {
 public:
  static constexpr size_t kMostRuns = 500;
  static constexpr int kDepth = 3;  // folders between the given one and a run's

  // Throws Error{kFile} where there is no such folder.
  explicit RunIndex(std::filesystem::path folder);

  // {"runs": [{"id", "name"}]}, the one that was written last first. Runs that are new since get numbers.
  std::string list();
  // {"id", "name", "model", "epochs", "classes", "columns", "rows", "pictures"}. Throws HttpError{404}.
  std::string run(size_t id) const;
  // Throws HttpError{404}.
  Response picture(size_t id, const std::string& name) const;

 private:
  std::filesystem::path at(size_t id) const;

  std::filesystem::path folder_;
  mutable std::mutex mutex_;
  std::vector<std::filesystem::path> runs_;  // by number
};

}  // namespace marrow::serve
