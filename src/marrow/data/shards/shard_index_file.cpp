// The bytes of docs/formats/shard_index.md.
#include <algorithm>
#include <string>

#include "marrow/base/crc32.h"
#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/random_access_file.h"
#include "marrow/data/label_cache_bytes.h"
#include "marrow/data/shards/shard_index.h"
#include "marrow/image/decode.h"

namespace marrow::data {
namespace {

constexpr std::string_view kIndexMagic = "MRWSHARD";
constexpr uint32_t kIndexVersion = 1;
constexpr size_t kIndexHeaderBytes = 64, kSampleBytes = 4 + 6 * 8 + 2 * 4, kSaidBytes = 2 + 2 * 4;

void put_part(ByteWriter& out, const ShardPart& part) {
  out.put(part.offset);
  out.put(part.bytes);
}

// `most` is what the index of a tar would have left out.
ShardPart get_part(ByteReader& in, uint64_t tar_bytes, uint64_t most) {
  ShardPart part;
  part.offset = in.get<uint64_t>();
  part.bytes = in.get<uint64_t>();
  in.require(part.bytes <= most);
  in.require(part.is_there() ? part.offset >= kTarBlock && part.offset <= tar_bytes &&
                                   part.bytes <= tar_bytes - part.offset
                             : part.bytes == 0);
  return part;
}

ShardSummary get_summary(std::span<const std::byte> header) {
  ByteReader in(header);
  if (header.size() != kIndexHeaderBytes || in.get_bytes(kIndexMagic.size()) != kIndexMagic)
    throw Error(ErrorKind::kFormat, "it is no index of a shard");
  const auto version = in.get<uint32_t>();
  if (version != kIndexVersion)
    throw Error(ErrorKind::kFormat, "it is of version " + std::to_string(version));
  const auto sum = in.get<uint32_t>();
  ShardSummary summary;
  summary.tar_bytes = in.get<uint64_t>();
  summary.samples = in.get<uint64_t>();
  summary.rows = in.get<uint64_t>();
  summary.bytes = in.get<uint64_t>();
  summary.digest = in.get<uint64_t>();
  summary.problems = in.get<uint64_t>();
  if (sum != crc32(header.subspan(16))) throw Error(ErrorKind::kFormat, "it is damaged (checksum)");
  // Every sample has a header and its bytes in the tar.
  in.require(summary.samples <= kMostShardSamples && summary.samples <= summary.tar_bytes / kTarBlock &&
             summary.bytes <= summary.tar_bytes);
  return summary;
}

}  // namespace

void write_shard_index(const std::filesystem::path& file, const ShardIndex& index) {
  ByteWriter header;
  header.put_bytes(kIndexMagic);
  header.put(kIndexVersion);
  header.put<uint32_t>(0);
  for (const uint64_t value : {index.summary.tar_bytes, index.summary.samples, index.summary.rows,
                               index.summary.bytes, index.summary.digest, index.summary.problems})
    header.put(value);
  header.put_at(12, crc32(std::as_bytes(std::span(header.bytes())).subspan(16)));
  ByteWriter out;
  out.put_bytes(header.bytes());
  for (const ShardSample& sample : index.samples) {
    out.put_string(sample.name);
    for (const ShardPart& part : {sample.image, sample.rows, sample.class_id}) put_part(out, part);
    out.put(sample.width);
    out.put(sample.height);
  }
  out.put_count(index.problems.size());
  for (const Problem& problem : index.problems) {
    out.put(static_cast<uint8_t>(problem.severity));
    out.put(static_cast<uint8_t>(problem.kind));
    out.put_string(problem.place);
    out.put_string(problem.message);
  }
  out.put(crc32(std::as_bytes(std::span(out.bytes()))));
  write_file_atomically(file, out.bytes());
}

ShardIndex read_shard_index(const std::filesystem::path& file) {
  const MappedFile mapped(file);
  const std::span<const std::byte> bytes = mapped.bytes();
  ShardIndex index;
  index.summary = get_summary(bytes.first(std::min(bytes.size(), kIndexHeaderBytes)));
  ByteReader in(bytes.subspan(kIndexHeaderBytes));
  in.require(bytes.size() >= kIndexHeaderBytes + sizeof(uint32_t));
  ByteReader checksum(bytes.last(sizeof(uint32_t)));
  if (checksum.get<uint32_t>() != crc32(bytes.first(bytes.size() - sizeof(uint32_t))))
    throw Error(ErrorKind::kFormat, "it is damaged (checksum)");
  in.require_room(index.summary.samples, kSampleBytes);
  index.samples.resize(index.summary.samples);
  for (ShardSample& sample : index.samples) {
    sample.name = in.get_string();
    const uint64_t tar_bytes = index.summary.tar_bytes;
    sample.image = get_part(in, tar_bytes, static_cast<uint64_t>(image::kMaxImageFileBytes));
    for (ShardPart* part : {&sample.rows, &sample.class_id})
      *part = get_part(in, tar_bytes, kMaxLabelFileBytes);
    sample.width = in.get<int32_t>();
    sample.height = in.get<int32_t>();
    in.require(sample.image.is_there() && sample.width > 0 && sample.height > 0 && !sample.name.empty());
  }
  index.problems.resize(in.get_count(kSaidBytes));
  for (Problem& problem : index.problems) {
    const auto severity = in.get<uint8_t>(), kind = in.get<uint8_t>();
    in.require(severity <= static_cast<uint8_t>(Problem::Severity::kError) &&
               kind <= static_cast<uint8_t>(Problem::Kind::kOther));
    problem = {static_cast<Problem::Severity>(severity), static_cast<Problem::Kind>(kind), in.get_string(),
               in.get_string()};
  }
  in.require(index.problems.size() == index.summary.problems);
  return index;
}

ShardSummary read_shard_summary(const std::filesystem::path& file) {
  const RandomAccessFile opened(file);
  std::string header(std::min<uint64_t>(opened.size(), kIndexHeaderBytes), '\0');
  opened.read(0, std::as_writable_bytes(std::span(header)));
  return get_summary(std::as_bytes(std::span(header)));
}

}  // namespace marrow::data
