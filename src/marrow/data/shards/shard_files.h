// The shards of a split: which files they are, and what each holds, from the indexes beside them.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "marrow/data/dataset.h"
#include "marrow/data/shards/shard_index.h"

namespace marrow::data {

inline constexpr size_t kMostShards = 1'000'000;

// "a-{000..012}.tar" names a-000.tar to a-012.tar, "{a,b}-1.tar" a-1.tar and b-1.tar. Numbers have as many
// digits as they are written with. Throws Error{kFormat} for braces that make no sense, more than kMostBraces
// of them, or more than kMostShards names.
inline constexpr int64_t kMostBraces = 8;
std::vector<std::string> expand_braces(std::string_view pattern);

// By its name.
bool is_shard(const std::filesystem::path& path);
// Whether the split lies in shards; they and other sources do not mix, which read_dataset refuses.
bool is_sharded(const Split& split);

struct ShardFile {
  std::filesystem::path tar;
  ShardSummary summary;
  std::filesystem::path index;                  // the file with it; empty where it could not be written
  std::shared_ptr<const ShardIndex> in_memory;  // then
};

std::filesystem::path index_beside(const std::filesystem::path& tar);  // "a.tar.index"

struct ShardOptions {
  int threads = 0;
  std::function<void(int64_t done, int64_t total)> progress = {};  // of the shards without one, from 0 on
};

// In the order of the split's sources. A shard without an index beside it that fits (of the tar's size, and
// not older) is read once, and the index written beside it, or else into the user's cache folder. Throws
// Error for shards that are missing or no tars.
std::vector<ShardFile> open_shards(const Split& split, const ShardOptions& options = {});

// Throws Error{kFormat} where the file has changed since.
std::shared_ptr<const ShardIndex> load_index(const ShardFile& shard);

}  // namespace marrow::data
