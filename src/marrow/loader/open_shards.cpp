#include "marrow/loader/open_shards.h"

#include <fmt/format.h>

#include <algorithm>

#include "marrow/base/error.h"

namespace marrow::loader {

std::shared_ptr<const OpenShard> OpenShards::get(size_t shard) {
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find(open_, shard, &decltype(open_)::value_type::first);
  if (found != open_.end()) {
    open_.splice(open_.begin(), open_, found);
    return found->second;
  }
  const data::ShardFile& file = images_.shards()[shard];
  auto opened =
      std::make_shared<const OpenShard>(OpenShard{RandomAccessFile(file.tar), data::load_index(file)});
  if (opened->file.size() != file.summary.tar_bytes)
    throw Error(ErrorKind::kFormat,
                fmt::format("{}: has {} bytes, and {} by its index; it has changed", data::shown(file.tar),
                            opened->file.size(), file.summary.tar_bytes));
  opened->file.expect_sequential();
  open_.emplace_front(shard, opened);
  if (open_.size() > most_) open_.pop_back();
  return opened;
}

}  // namespace marrow::loader
