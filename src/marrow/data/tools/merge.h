// Several datasets as one.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "marrow/data/tools/read_whole.h"

namespace marrow::data {

struct MergeOptions {
  // What a class is called in the new dataset; an empty name leaves its objects out, `ignore` makes regions
  // to ignore of them. Others keep their names.
  std::map<std::string, std::string> rename;
  WriteOptions write;
};

struct MergeSummary {
  ReadSummary read;
  std::vector<std::string> names;  // of the new dataset, in the order in which they came
  int64_t left_out = 0;            // objects of classes without a new name
  std::vector<std::string> notes;  // classes that not all datasets have
};

// Splits of one name become one; classes of one name, too. Throws Error{kUsage} for a class to be renamed
// that no dataset has, and what read_whole and write_dataset throw.
MergeSummary merge_datasets(std::span<const Dataset> datasets, const std::filesystem::path& out,
                            const MergeOptions& options);

}  // namespace marrow::data
