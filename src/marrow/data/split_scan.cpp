#include "marrow/data/split_scan.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <new>

#include "marrow/base/error.h"
#include "marrow/cpu/thread_pool.h"

namespace marrow::data {
namespace {

using Kind = Problem::Kind;
using Severity = Problem::Severity;

struct Outcome {
  ScannedImage picture;
  std::vector<Problem> problems;
  bool lasts = true;
};

// The reader's messages begin with the file's name, which the place already states.
std::string without_place(const std::string& message, const std::string& place) {
  return message.starts_with(place + ": ") ? message.substr(place.size() + 2) : message;
}

// The size, when the image can be used.
bool read_size(const std::filesystem::path& path, const std::string& name, Outcome& outcome) {
  LabelledImage& image = outcome.picture.image;
  std::vector<Problem>& problems = outcome.problems;
  try {
    const Size size = image::read_image_size(path);
    image.width = size.width;
    image.height = size.height;
  } catch (const Error& error) {
    problems.push_back(
        {Severity::kError, Kind::kBrokenImage, name, without_place(error.what(), path.string())});
    outcome.lasts = error.kind() != ErrorKind::kFile;
    return false;
  }
  if (std::min(image.width, image.height) >= kMinImageSide) return true;
  problems.push_back({Severity::kError, Kind::kSmallImage, name,
                      fmt::format("{} x {} pixels; at least {} a side are wanted", image.width, image.height,
                                  kMinImageSide)});
  return false;
}

void scan_image(const SplitReader& reader, size_t i, Outcome& outcome) {
  const ListedImage& listed = reader.pictures()[i];
  ScannedImage& picture = outcome.picture;
  picture.image.path = listed.image;
  picture.annotation = listed.annotation;
  picture.annotation_stamp =
      listed.part != nullptr ? FileStamp{listed.labels, 0} : stamp_of(listed.annotation);
  if (listed.image.empty()) {
    outcome.problems.push_back({Severity::kError, Kind::kMissingImage, shown(listed.annotation),
                                without_place(listed.missing, shown(listed.annotation))});
    return;
  }
  const std::string name = shown(listed.image);
  if (listed.part != nullptr) {
    picture.image.part = listed.part;
    picture.image_stamp = {static_cast<int64_t>(listed.part->bytes), 0};
  } else {
    picture.image_stamp = stamp_of(listed.image);
  }
  if (picture.image_stamp.bytes < 0) {
    outcome.problems.push_back({Severity::kError, Kind::kMissingImage, name, "no such image"});
    return;
  }
  LabelledImage& image = picture.image;
  if (listed.part != nullptr) {
    image.width = listed.size.width;
    image.height = listed.size.height;
  } else if (!read_size(listed.image, name, outcome)) {
    return;
  }
  try {
    ParsedLabels parsed = reader.parse(i, {image.width, image.height});
    picture.usable = parsed.usable;
    std::ranges::move(parsed.problems, std::back_inserter(outcome.problems));
    static_cast<ImageLabels&>(image) = std::move(parsed);
  } catch (const Error& error) {
    outcome.problems.push_back({Severity::kError, Kind::kLabelSyntax, shown(listed.annotation),
                                without_place(error.what(), listed.annotation.string())});
    outcome.lasts = error.kind() != ErrorKind::kFile;
  }
}

}  // namespace

FileStamp stamp_of(const std::filesystem::path& path) {
  struct stat status {};
  if (path.empty()) return {};
  if (::stat(path.c_str(), &status) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return {};
    throw Error(ErrorKind::kFile,
                fmt::format("{}: cannot be looked at: {}", path.string(), std::strerror(errno)));
  }
  constexpr int64_t kSecond = 1'000'000'000;
  return {static_cast<int64_t>(status.st_size), status.st_mtim.tv_sec * kSecond + status.st_mtim.tv_nsec};
}

struct SharedProgress::State {
  const Progress& report;
  int64_t total;
  std::mutex mutex;
  int64_t done = 0;
};

SharedProgress::SharedProgress(const Progress& progress, int64_t total)
    : state_(new State{progress, total, {}, 0}) {}
SharedProgress::~SharedProgress() = default;

void SharedProgress::advance() {
  if (!state_->report) return;
  const std::lock_guard lock(state_->mutex);
  const int64_t step = std::max<int64_t>(state_->total / 100, 1);
  if (++state_->done % step == 0 || state_->done == state_->total)
    state_->report(state_->done, state_->total);
}

SplitLabels labels_of(Scan scan) {
  SplitLabels result;
  result.listed = static_cast<int64_t>(scan.pictures.size());
  for (ScannedImage& picture : scan.pictures) {
    if (!picture.usable) {
      ++result.dropped;
      continue;
    }
    if (picture.image.labels.empty()) ++result.backgrounds;
    if (picture.annotation_stamp.bytes < 0 && result.unlabelled++ == 0)
      result.first_unlabelled = picture.image.path;
    result.images.push_back(std::move(picture.image));
  }
  result.problems = std::move(scan.problems);
  return result;
}

Scan scan_split(const SplitReader& reader, int threads, const Progress& progress) {
  const size_t count = reader.pictures().size();
  std::vector<Outcome> outcomes(count);
  cpu::ThreadPool pool(threads);
  SharedProgress shared(progress, static_cast<int64_t>(count));
  std::atomic<bool> has_memory = true;
  pool.parallel_for(static_cast<int64_t>(count), [&](int64_t i, int) {
    Outcome& outcome = outcomes[static_cast<size_t>(i)];
    try {  // nothing may leave a thread
      try {
        scan_image(reader, static_cast<size_t>(i), outcome);
      } catch (const std::bad_alloc&) {
        throw;
      } catch (const std::exception& error) {
        outcome.picture.usable = outcome.lasts = false;
        outcome.problems.push_back(
            {Severity::kError, Kind::kOther, shown(outcome.picture.image.path), error.what()});
      }
      shared.advance();
    } catch (const std::bad_alloc&) {
      has_memory = false;
    }
  });
  if (!has_memory) throw std::bad_alloc();  // not a word about the images
  Scan scan{{}, reader.problems()};
  scan.pictures.reserve(count);
  for (Outcome& outcome : outcomes) {
    scan.lasts = scan.lasts && outcome.lasts;
    scan.pictures.push_back(std::move(outcome.picture));
    std::ranges::move(outcome.problems, std::back_inserter(scan.problems));
  }
  return scan;
}

}  // namespace marrow::data
