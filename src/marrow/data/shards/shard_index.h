// What a shard holds: a tar in WebDataset's layout, whose members with the same name up to its first dot are
// one sample. docs/formats/shard_index.md describes the file that remembers it.
//
// Everything is treated as hostile, the file beside the tar too.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "marrow/data/labels.h"
#include "marrow/data/shards/tar.h"

namespace marrow::data {

// A member's content. None: at byte 0 there is always a header.
struct ShardPart {
  uint64_t offset = 0, bytes = 0;
  bool is_there() const { return offset != 0; }
  bool operator==(const ShardPart&) const = default;
};

struct ShardSample {
  std::string name;  // of its image, "KEY.jpg", as the tar has it
  ShardPart image;
  ShardPart rows;             // KEY.txt: YOLO's, of any task
  ShardPart class_id;         // KEY.cls: a classifier's
  int width = 0, height = 0;  // upright
  uint64_t bytes() const { return image.bytes + rows.bytes + class_id.bytes; }
  bool operator==(const ShardSample&) const = default;
};

// What is to be known of a shard that is not open.
struct ShardSummary {
  uint64_t tar_bytes = 0;
  uint64_t samples = 0;
  uint64_t rows = 0;    // lines of all KEY.txt and KEY.cls: as many objects, or a few more
  uint64_t bytes = 0;   // of all samples
  uint64_t digest = 0;  // of names, sizes and labels
  uint64_t problems = 0;
  bool operator==(const ShardSummary&) const = default;
};

struct ShardIndex {
  ShardSummary summary;
  std::vector<ShardSample> samples;  // that have an image of a usable size, as the tar has them
  std::vector<Problem> problems;     // of what was left out
  bool operator==(const ShardIndex&) const = default;
};

inline constexpr uint64_t kMostShardSamples = 4'000'000;

// Whether samples have images of the suffix, ".jpg" or ".JPG".
bool is_shard_image_suffix(std::string_view suffix);

// Reads headers, labels and the beginnings of images. `name` is what messages call the tar. Throws Error as
// visit_tar does, and for more samples than kMostShardSamples.
ShardIndex index_shard(const ByteSource& source, const std::string& name);

// The index as a file, and back. Reading throws Error{kFormat} for what is no index or damaged; the summary
// alone needs the first bytes only.
void write_shard_index(const std::filesystem::path& file, const ShardIndex& index);
ShardIndex read_shard_index(const std::filesystem::path& file);
ShardSummary read_shard_summary(const std::filesystem::path& file);

}  // namespace marrow::data
