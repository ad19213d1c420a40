#include "marrow/data/shards/shard_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "marrow/base/counted.h"
#include "marrow/base/error.h"
#include "marrow/base/random.h"
#include "marrow/base/text.h"
#include "marrow/image/decode.h"

namespace marrow::data {
namespace {

using Kind = Problem::Kind;
using Severity = Problem::Severity;

constexpr std::array<std::string_view, 7> kImageSuffixes = {".jpg", ".jpeg", ".png", ".webp",
                                                            ".bmp", ".tif",  ".tiff"};
constexpr uint64_t kFirstBytes = 64 << 10;  // of an image, mostly enough to know its size

class Indexer {
 public:
  Indexer(const ByteSource& source, const std::string& name) : source_(source), archive_(name) {}

  ShardIndex index() {
    const bool has_end = visit_tar(source_, archive_, [&](const TarMember& member) { add(member); });
    if (!has_end)
      problems_.add(Severity::kWarning, Kind::kOther, archive_,
                    "ends without tar's empty blocks; it may be cut off");
    for (Draft& draft : drafts_) finish(draft);
    if (without_image_ > 0)
      problems_.add(Severity::kWarning, Kind::kMissingImage, archive_,
                    fmt::format("{} without an image, the first '{}'; they are left out",
                                counted(without_image_, "label"), printable(first_without_)));
    index_.problems = problems_.take(archive_);
    ShardSummary& summary = index_.summary;
    summary.tar_bytes = source_.size;
    summary.samples = index_.samples.size();
    summary.problems = index_.problems.size();
    return std::move(index_);
  }

 private:
  struct Draft {
    ShardSample sample;
    std::string label_name;
  };

  // Up to the first dot behind the folders, as WebDataset has it. Empty: a hidden file.
  static std::pair<std::string_view, std::string> key_and_suffix(std::string_view name) {
    const size_t folder = name.rfind('/') == std::string_view::npos ? 0 : name.rfind('/') + 1;
    const size_t dot = name.find('.', folder);
    if (dot == folder || dot == std::string_view::npos) return {};
    return {name.substr(0, dot), to_lower(std::string(name.substr(dot + 1)))};
  }

  void add(const TarMember& member) {
    std::string_view name = member.name;
    while (name.starts_with("./")) name.remove_prefix(2);
    const auto [key, suffix] = key_and_suffix(name);
    if (key.empty() || !member.is_file) return;
    const bool is_image = is_shard_image_suffix("." + suffix);
    if (!is_image && suffix != "txt" && suffix != "cls") return;
    const auto [found, is_new] = by_key_.try_emplace(std::string(key), drafts_.size());
    if (is_new) {
      if (drafts_.size() == kMostShardSamples)
        throw Error(ErrorKind::kFormat, fmt::format("{}: more than {} samples; smaller shards are wanted",
                                                    archive_, kMostShardSamples));
      drafts_.emplace_back();
    }
    Draft& draft = drafts_[found->second];
    ShardPart& part = is_image          ? draft.sample.image
                      : suffix == "txt" ? draft.sample.rows
                                        : draft.sample.class_id;
    if (part.is_there()) {
      problems_.add(Severity::kWarning, Kind::kDuplicateImage, place(member.header),
                    fmt::format("'{}': the sample has one already, at byte {}; the first counts",
                                printable(name), part.offset));
      return;
    }
    part = {member.offset, member.bytes};
    (is_image ? draft.sample.name : draft.label_name) = name;
  }

  std::string place(uint64_t offset) const { return fmt::format("{}: byte {}", archive_, offset); }

  void finish(Draft& draft) {
    ShardSample& sample = draft.sample;
    if (!sample.image.is_there()) {
      if (without_image_++ == 0) first_without_ = draft.label_name;
      return;
    }
    const auto leave_out = [&](Kind kind, const std::string& why) {
      problems_.add(Severity::kError, kind, place(sample.image.offset),
                    fmt::format("'{}': {}", printable(sample.name), why));
    };
    try {
      const Size size = size_of(sample);
      sample.width = size.width;
      sample.height = size.height;
    } catch (const Error& error) {
      return leave_out(Kind::kBrokenImage, error.what());
    }
    if (std::min(sample.width, sample.height) < kMinImageSide)
      return leave_out(Kind::kSmallImage, fmt::format("{} x {} pixels; at least {} a side are wanted",
                                                      sample.width, sample.height, kMinImageSide));
    for (const ShardPart& label : {sample.rows, sample.class_id})
      if (label.bytes > kMaxLabelFileBytes)
        return leave_out(Kind::kLabelSyntax, fmt::format("its label has {} bytes; at most {} are read",
                                                         label.bytes, kMaxLabelFileBytes));
    ShardSummary& summary = index_.summary;
    add_digest(stream_of(sample.name));
    add_digest(sample.image.bytes);
    add_digest(static_cast<uint64_t>(sample.width) << 32 | static_cast<uint64_t>(sample.height));
    for (const ShardPart& label : {sample.rows, sample.class_id}) {
      const std::string text = content(label, label.bytes);
      add_digest(stream_of(text));
      const std::string_view trimmed = text;
      for (size_t at = 0; at < trimmed.size();) {
        const size_t end = std::min(trimmed.find('\n', at), trimmed.size());
        summary.rows += trimmed.substr(at, end - at).find_first_not_of(" \t\r") != std::string_view::npos;
        at = end + 1;
      }
    }
    summary.bytes += sample.bytes();
    index_.samples.push_back(std::move(sample));
  }

  void add_digest(uint64_t value) { index_.summary.digest = mix_bits(index_.summary.digest ^ value) + value; }

  std::string content(const ShardPart& part, uint64_t most) const {
    std::string bytes(std::min(part.bytes, most), '\0');
    if (!bytes.empty()) source_.read(part.offset, std::as_writable_bytes(std::span(bytes)));
    return bytes;
  }

  // What is known of an image from its first bytes, or, where they do not suffice, from all of them.
  Size size_of(const ShardSample& sample) const {
    if (sample.image.bytes > static_cast<uint64_t>(image::kMaxImageFileBytes))
      throw Error(ErrorKind::kFormat, fmt::format("{} bytes; at most {} are read", sample.image.bytes,
                                                  image::kMaxImageFileBytes));
    try {
      const std::string first = content(sample.image, kFirstBytes);
      if (sample.image.bytes > kFirstBytes)
        return image::image_size(std::as_bytes(std::span(first)), "image");
    } catch (const Error&) {
    }
    const std::string all = content(sample.image, sample.image.bytes);
    return image::image_size(std::as_bytes(std::span(all)), "image");
  }

  const ByteSource& source_;
  const std::string& archive_;
  ShardIndex index_;
  std::vector<Draft> drafts_;
  std::unordered_map<std::string, size_t> by_key_;
  ProblemList problems_;
  int64_t without_image_ = 0;
  std::string first_without_;
};

}  // namespace

bool is_shard_image_suffix(std::string_view suffix) {
  return std::ranges::find(kImageSuffixes, to_lower(std::string(suffix))) != kImageSuffixes.end();
}

ShardIndex index_shard(const ByteSource& source, const std::string& name) {
  return Indexer(source, name).index();
}

}  // namespace marrow::data
