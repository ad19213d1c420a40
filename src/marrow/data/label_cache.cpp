#include "marrow/data/label_cache.h"

#include <fmt/format.h>

#include "marrow/base/crc32.h"
#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/random.h"
#include "marrow/base/user_folders.h"
#include "marrow/data/label_cache_pictures.h"

namespace marrow::data {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "MRWLABEL";
constexpr uint32_t kVersion = 6;
constexpr size_t kHeaderBytes = 24, kChecksumBytes = 4;
constexpr const char* kSuffix = ".marrow-cache";
constexpr size_t kProblemBytes = 2 + 2 * kStringBytes;

void put_key(ByteWriter& out, const CacheKey& key) {
  out.put<uint8_t>(static_cast<uint8_t>(key.task));
  out.put<int32_t>(key.keypoints.count);
  out.put<int32_t>(key.keypoints.dimensions);
  out.put<int32_t>(key.ignore_class);
  for (const std::vector<std::string>* texts : {&key.names, &key.sources}) {
    out.put_count(texts->size());
    for (const std::string& text : *texts) out.put_string(text);
  }
  out.put_count(key.shared.size());
  for (const SharedFile& file : key.shared) {
    out.put_string(file.path.native());
    put_stamp(out, file.stamp);
  }
}

// Why the cache was made from something else; empty when it was not.
std::string compare_key(ByteReader& in, const CacheKey& key) {
  if (in.get<uint8_t>() != static_cast<uint8_t>(key.task)) return "it is of labels for another task";
  KeypointShape keypoints;
  keypoints.count = in.get<int32_t>();
  keypoints.dimensions = in.get<int32_t>();
  if (keypoints != key.keypoints) return "kpt_shape has changed";
  if (in.get<int32_t>() != key.ignore_class) return "the class list has changed";
  std::vector<std::string> names(in.get_count(kStringBytes));
  for (std::string& name : names) name = in.get_string();
  if (names != key.names) return "the class list has changed";
  std::vector<std::string> sources(in.get_count(kStringBytes));
  for (std::string& source : sources) source = in.get_string();
  if (sources != key.sources) return "the split names other sources";
  std::vector<SharedFile> shared(in.get_count(kStringBytes + kStampBytes));
  for (SharedFile& file : shared) {
    file.path = in.get_string();
    file.stamp = get_stamp(in);
  }
  for (size_t i = 0; i < std::min(shared.size(), key.shared.size()); ++i)
    if (shared[i] != key.shared[i]) return shown(key.shared[i].path) + " has changed";
  return shared.size() == key.shared.size() ? "" : "the split names other sources";
}

Scan get_scan(ByteReader& in, const CacheKey& key) {
  Scan scan;
  scan.pictures.resize(in.get_count(kImageBytes));
  for (ScannedImage& picture : scan.pictures)
    picture = get_picture(in, static_cast<int>(key.names.size()), key.keypoints);
  scan.problems.resize(in.get_count(kProblemBytes));
  for (Problem& problem : scan.problems) {
    const auto severity = in.get<uint8_t>(), kind = in.get<uint8_t>();
    in.require(severity <= static_cast<uint8_t>(Problem::Severity::kError) &&
               kind <= static_cast<uint8_t>(Problem::Kind::kOther));
    problem = {static_cast<Problem::Severity>(severity), static_cast<Problem::Kind>(kind), in.get_string(),
               in.get_string()};
  }
  in.require(in.at_end());
  return scan;
}

}  // namespace

CacheKey cache_key(const Dataset& dataset, const Split& split, const SplitReader& reader) {
  CacheKey key{dataset.format,
               dataset.task,
               dataset.skeleton.shape,
               dataset.ignore_class,
               dataset.names,
               {dataset.root.native(), dataset.voc_annotations.native()},
               {}};
  for (const SplitSource& source : split.sources) {
    key.sources.push_back(source.path.native());
    key.sources.push_back(source.images.native());
  }
  if (dataset.labels_beside) key.sources.emplace_back("labels beside images");
  for (const fs::path& path : reader.shared_files()) key.shared.push_back({path, stamp_of(path)});
  return key;
}

CachePlaces cache_places(const Dataset& dataset, const Split& split) {
  const fs::path& source = split.sources.at(0).path;
  std::error_code ignored;
  fs::path place = source;
  if (fs::is_directory(source, ignored))
    place = dataset.format == DatasetFormat::kYolo ? label_path(dataset, source / "x.jpg").parent_path()
                                                   : source / split.name;
  std::string all;
  for (const SplitSource& each : split.sources) all += each.path.native() + '\n';
  const uint64_t hash = stream_of(all);
  CachePlaces places;
  places.beside = place;
  if (split.sources.size() > 1) places.beside += fmt::format("-{:08x}", static_cast<uint32_t>(hash));
  places.beside += kSuffix;
  if (const fs::path folder = user_cache_folder(); !folder.empty())
    places.fallback = folder / fmt::format("{:016x}{}", hash, kSuffix);
  return places;
}

CacheRead read_label_cache(const fs::path& file, const CacheKey& key) {
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return {};
  try {
    const MappedFile mapped(file);
    const std::span<const std::byte> bytes = mapped.bytes();
    ByteReader in(bytes);
    if (bytes.size() < kHeaderBytes + kChecksumBytes || in.get_bytes(kMagic.size()) != kMagic)
      return {{}, "it is not a label cache"};
    if (const auto version = in.get<uint32_t>(); version != kVersion)
      return {{}, fmt::format("it is of version {}", version)};
    const auto format = in.get<uint32_t>();
    const auto payload = in.get<uint64_t>();
    if (payload != bytes.size() - kHeaderBytes - kChecksumBytes) return {{}, "it is cut off"};
    ByteReader checksum(bytes.last(kChecksumBytes));
    if (checksum.get<uint32_t>() != crc32(bytes.first(bytes.size() - kChecksumBytes)))
      return {{}, "it is damaged (checksum)"};
    if (format != static_cast<uint32_t>(key.format)) return {{}, "the dataset's format has changed"};
    ByteReader content(bytes.subspan(kHeaderBytes, payload));
    if (std::string reason = compare_key(content, key); !reason.empty()) return {{}, std::move(reason)};
    return {get_scan(content, key), {}};
  } catch (const Error& error) {
    return {{}, error.what()};
  }
}

std::string staleness(const Scan& scan, const std::vector<ListedImage>* listed) try {
  if (listed != nullptr) {
    if (listed->size() != scan.pictures.size())
      return fmt::format("there were {} images, now there are {}", scan.pictures.size(), listed->size());
    for (size_t i = 0; i < listed->size(); ++i)
      if ((*listed)[i].image != scan.pictures[i].image.path ||
          (*listed)[i].annotation != scan.pictures[i].annotation)
        return fmt::format("{} was not there", shown((*listed)[i].image));
  }
  const fs::path* last = nullptr;  // one annotation may serve many images in a row
  for (const ScannedImage& picture : scan.pictures) {
    if (stamp_of(picture.image.path) != picture.image_stamp)
      return shown(picture.image.path) + " has changed";
    if (last != nullptr && *last == picture.annotation) continue;
    if (stamp_of(picture.annotation) != picture.annotation_stamp)
      return shown(picture.annotation) + " has changed";
    last = &picture.annotation;
  }
  return {};
} catch (const Error& error) {  // of a file that cannot be looked at
  return error.what();
}

void write_label_cache(const fs::path& file, const CacheKey& key, const Scan& scan) {
  ByteWriter out;  // of the whole file: the outlines of COCO take hundreds of megabytes once
  out.put_bytes(kMagic);
  out.put(kVersion);
  out.put(static_cast<uint32_t>(key.format));
  out.put<uint64_t>(0);  // the payload's length, once it is known
  put_key(out, key);
  out.put_count(scan.pictures.size());
  for (const ScannedImage& picture : scan.pictures) put_picture(out, picture);
  out.put_count(scan.problems.size());
  for (const Problem& problem : scan.problems) {
    out.put(static_cast<uint8_t>(problem.severity));
    out.put(static_cast<uint8_t>(problem.kind));
    out.put_string(problem.place);
    out.put_string(problem.message);
  }
  out.put_at<uint64_t>(kHeaderBytes - sizeof(uint64_t), out.bytes().size() - kHeaderBytes);
  out.put(crc32(std::as_bytes(std::span(out.bytes()))));
  write_file_atomically(file, out.bytes());
}

}  // namespace marrow::data
