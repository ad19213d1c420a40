#include "support/open_data.h"

#include <fmt/format.h>

#include <cstdio>

namespace marrow::cli {

void say_notes(const std::vector<std::string>& notes) {
  for (const std::string& note : notes) fmt::print(stderr, "note: {}\n", note);
}

data::Dataset open_dataset(const std::string& path, const std::vector<std::string>& names,
                           const std::string& task) {
  data::Dataset dataset = data::read_dataset(path, names);
  dataset.task = task_named(task).value_or(Task::kDetect);
  say_notes(dataset.notes);
  return dataset;
}

}  // namespace marrow::cli
