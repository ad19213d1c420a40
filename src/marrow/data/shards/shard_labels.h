// The labels of a sample of a shard.
#pragma once

#include <string>
#include <string_view>

#include "marrow/data/dataset.h"
#include "marrow/data/shards/shard_index.h"

namespace marrow::data {

// `text` is what the member label_part() holds; `name` is what messages call the sample. Of kFolders a label
// is the whole image.
const ShardPart& label_part(const Dataset& dataset, const ShardSample& sample);
ParsedLabels parse_shard_labels(const Dataset& dataset, const ShardSample& sample, std::string_view text,
                                const std::string& name);

// For messages: "train-000.tar/KEY.jpg".
std::string sample_name(const std::filesystem::path& tar, const ShardSample& sample);

}  // namespace marrow::data
