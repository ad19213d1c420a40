// A dataset written as shards: tars in WebDataset's layout, with an index beside each.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "marrow/data/tools/read_whole.h"

namespace marrow::data {

inline constexpr double kDefaultShardMegabytes = 256;

struct ShardWriteOptions {
  double megabytes = kDefaultShardMegabytes;  // of a shard, at most, unless one sample takes more
  int64_t samples = 0;                        // of a shard, at most; 0: as many as the bytes allow
  uint64_t seed = 0;                          // of the order of `train`; other splits keep theirs
  int threads = 0;
  std::function<void(int64_t done, int64_t total)> progress = {};
};

struct ShardSummaries {
  struct Part {
    std::string split;
    int64_t images = 0, shards = 0;
  };
  std::vector<Part> parts;
  ReadSummary read;
};

// Writes OUT/SPLIT-000000.tar and so on, an index beside each, and data.yaml last: a folder with it is whole,
// and one without can be written again. A sample is the image's own bytes, KEY.jpg, and its labels for the
// dataset's task, KEY.txt, or the number of its class, KEY.cls. KEY is the image's name with `_` for dots;
// where two would be equal the later gets "_2". The same dataset, options and version give the same bytes.
// Throws Error{kUsage} where `out` holds a dataset already, Error{kFile} when reading or writing fails, and
// what reading the dataset throws.
ShardSummaries shard_dataset(const Dataset& dataset, const std::filesystem::path& out,
                             const ShardWriteOptions& options);

}  // namespace marrow::data
