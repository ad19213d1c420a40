// What a command takes for DATA, and how it says what the reader noticed.
#pragma once

#include <string>
#include <vector>

#include "marrow/data/dataset.h"

namespace marrow::cli {

// On stderr.
void say_notes(const std::vector<std::string>& notes);

// Every command's reader of DATA. What the reader notes goes to stderr. Throws what data::read_dataset
// throws.
// `task` is of task_names().
data::Dataset open_dataset(const std::string& path, const std::vector<std::string>& names = {},
                           const std::string& task = "detect");

}  // namespace marrow::cli
