#include "marrow/data/shards/shard_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "marrow/base/error.h"
#include "marrow/base/random.h"
#include "marrow/base/random_access_file.h"
#include "marrow/base/text.h"
#include "marrow/base/user_folders.h"
#include "marrow/cpu/thread_pool.h"
#include "marrow/data/split_scan.h"

namespace marrow::data {
namespace {

namespace fs = std::filesystem;

constexpr const char* kIndexSuffix = ".index";
constexpr size_t kMostDigits = 18;

[[noreturn]] void refuse_braces(std::string_view pattern, const std::string& why) {
  throw Error(ErrorKind::kFormat,
              fmt::format("{}: {}; wanted is such as 'train-{{000..012}}.tar'", printable(pattern), why));
}

std::optional<int64_t> whole(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool is_number = error == std::errc() && end == text.data() + text.size() && value >= 0;
  return is_number && text.size() <= kMostDigits ? std::optional(value) : std::nullopt;
}

// What may stand between the braces.
std::vector<std::string> choices(std::string_view pattern, std::string_view inside) {
  std::vector<std::string> result;
  if (const size_t dots = inside.find(".."); dots != std::string_view::npos) {
    const std::string_view low = inside.substr(0, dots), high = inside.substr(dots + 2);
    const std::optional<int64_t> first = whole(low), last = whole(high);
    if (!first || !last)
      refuse_braces(pattern, fmt::format("'{}' is no range of numbers", printable(inside)));
    if (*last < *first) refuse_braces(pattern, fmt::format("{} is before {}", *last, *first));
    if (static_cast<uint64_t>(*last - *first) >= kMostShards)
      refuse_braces(pattern, fmt::format("more than {} shards", kMostShards));
    const size_t digits =
        low.starts_with('0') || high.starts_with('0') ? std::max(low.size(), high.size()) : 0;
    for (int64_t i = *first; i <= *last; ++i) result.push_back(fmt::format("{:0{}}", i, digits));
    return result;
  }
  for (size_t at = 0; at <= inside.size();) {
    const size_t end = std::min(inside.find(',', at), inside.size());
    result.emplace_back(inside.substr(at, end - at));
    at = end + 1;
  }
  return result;
}

bool fits(const fs::path& index, const fs::path& tar, ShardSummary& summary) {
  try {
    const FileStamp index_stamp = stamp_of(index), tar_stamp = stamp_of(tar);
    if (index_stamp.bytes < 0 || index_stamp.modified_ns < tar_stamp.modified_ns) return false;
    summary = read_shard_summary(index);
    return summary.tar_bytes == static_cast<uint64_t>(tar_stamp.bytes);
  } catch (const Error&) {
    return false;
  }
}

fs::path index_elsewhere(const fs::path& tar) {
  const fs::path folder = user_cache_folder();
  return folder.empty() ? fs::path()
                        : folder / fmt::format("{:016x}{}", stream_of(tar.native()), kIndexSuffix);
}

void make_index(ShardFile& shard) {
  const RandomAccessFile file(shard.tar);
  auto index = std::make_shared<const ShardIndex>(
      index_shard({file.size(), [&](uint64_t offset, std::span<std::byte> into) { file.read(offset, into); }},
                  shown(shard.tar)));
  shard.summary = index->summary;
  const fs::path elsewhere = index_elsewhere(shard.tar);
  for (const fs::path& place : {index_beside(shard.tar), elsewhere}) {
    if (place.empty()) continue;
    try {
      std::error_code ignored;
      if (place == elsewhere) fs::create_directories(place.parent_path(), ignored);
      write_shard_index(place, *index);
      shard.index = place;
      return;
    } catch (const Error&) {
    }
  }
  shard.in_memory = std::move(index);
}

}  // namespace

std::vector<std::string> expand_braces(std::string_view pattern) {
  const size_t open = pattern.find('{'), close = pattern.find('}');
  if (open == std::string_view::npos && close == std::string_view::npos) return {std::string(pattern)};
  if (open == std::string_view::npos || close == std::string_view::npos || close < open)
    refuse_braces(pattern, "a brace without its other");
  if (std::ranges::count(pattern, '{') > kMostBraces)
    refuse_braces(pattern, fmt::format("more than {} braces", kMostBraces));
  const std::string_view inside = pattern.substr(open + 1, close - open - 1);
  if (inside.find('{') != std::string_view::npos) refuse_braces(pattern, "braces in braces");
  const std::vector<std::string> tails = expand_braces(pattern.substr(close + 1));
  const std::vector<std::string> heads = choices(pattern, inside);
  if (tails.size() * heads.size() > kMostShards)
    refuse_braces(pattern, fmt::format("more than {} shards", kMostShards));
  std::vector<std::string> names;
  for (const std::string& head : heads)
    for (const std::string& tail : tails)
      names.push_back(fmt::format("{}{}{}", pattern.substr(0, open), head, tail));
  return names;
}

bool is_shard(const fs::path& path) {
  return to_lower(path.extension().string()) == ".tar";
}

bool is_sharded(const Split& split) {
  return !split.sources.empty() && is_shard(split.sources.front().path);
}

fs::path index_beside(const fs::path& tar) {
  fs::path index = tar;
  index += kIndexSuffix;
  return index;
}

std::vector<ShardFile> open_shards(const Split& split, const ShardOptions& options) {
  std::vector<ShardFile> shards;
  std::vector<size_t> unknown;
  for (const SplitSource& source : split.sources) {
    ShardFile& shard = shards.emplace_back();
    shard.tar = source.path;
    for (const fs::path& index : {index_beside(shard.tar), index_elsewhere(shard.tar)}) {
      if (index.empty() || !fits(index, shard.tar, shard.summary)) continue;
      shard.index = index;
      break;
    }
    if (shard.index.empty()) unknown.push_back(shards.size() - 1);
  }
  if (options.progress && !unknown.empty()) options.progress(0, static_cast<int64_t>(unknown.size()));
  std::vector<std::exception_ptr> failures(unknown.size());
  cpu::ThreadPool pool(options.threads);
  SharedProgress progress(options.progress, static_cast<int64_t>(unknown.size()));
  pool.parallel_for(static_cast<int64_t>(unknown.size()), [&](int64_t i, int) {
    const auto number = static_cast<size_t>(i);
    try {
      make_index(shards[unknown[number]]);
    } catch (...) {
      failures[number] = std::current_exception();
    }
    progress.advance();
  });
  for (const std::exception_ptr& failure : failures)
    if (failure != nullptr) std::rethrow_exception(failure);
  return shards;
}

std::shared_ptr<const ShardIndex> load_index(const ShardFile& shard) {
  if (shard.in_memory != nullptr) return shard.in_memory;
  try {
    auto index = std::make_shared<const ShardIndex>(read_shard_index(shard.index));
    if (index->summary == shard.summary) return index;
  } catch (const Error& error) {
    throw Error(ErrorKind::kFormat,
                fmt::format("{}: {}; it can be deleted", shown(shard.index), error.what()));
  }
  throw Error(ErrorKind::kFormat, fmt::format("{}: has changed since it was opened", shown(shard.index)));
}

}  // namespace marrow::data
