#include "marrow/data/tools/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <set>

#include "marrow/base/counted.h"
#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/random.h"
#include "marrow/base/text.h"
#include "marrow/cpu/thread_pool.h"
#include "marrow/data/image_bytes.h"
#include "marrow/data/no_objects.h"
#include "marrow/data/shards/shard_files.h"
#include "marrow/data/split_scan.h"
#include "marrow/data/task_labels.h"
#include "marrow/data/tools/check_sheet.h"
#include "marrow/data/tools/look.h"
#include "marrow/data/unused_labels.h"
#include "marrow/image/convert.h"
#include "marrow/image/decode.h"
#include "marrow/image/encode.h"

namespace marrow::data {
namespace {

namespace fs = std::filesystem;
using Kind = Problem::Kind;
using Severity = Problem::Severity;

// What decoding an image showed.
struct Inspected {
  uint64_t hash = 0;  // of the file's content
  std::optional<Look> look;
  bool readable = false;
  std::optional<Problem> problem;
};

// Eight bytes a step; equal hashes are confirmed by comparing the files.
uint64_t content_hash(std::span<const std::byte> bytes) {
  uint64_t hash = bytes.size();
  for (; bytes.size() >= 8; bytes = bytes.subspan(8)) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data(), 8);
    hash = mix_bits(hash ^ word);
  }
  for (const std::byte byte : bytes) hash = mix_bits(hash ^ std::to_integer<uint64_t>(byte));
  return hash;
}

bool equal_content(const ImageFile& a, const ImageFile& b) {
  try {
    return read_image_bytes(a) == read_image_bytes(b);
  } catch (const Error&) {
    return false;
  }
}

Inspected inspect(const ScannedImage& picture, const ImageReading& reading) {
  Inspected result;
  const std::string name = shown(picture.image.path);
  try {
    const std::string content = read_image_bytes(picture.image);
    const auto bytes = std::as_bytes(std::span(content));
    result.hash = content_hash(bytes);
    result.readable = true;
    if (!picture.usable) return result;  // the scan has said why
    const image::DecodedImage decoded = image::decode_image(bytes, name, {.fit = {}, .reading = reading});
    result.look = look_of(image::displayed(decoded.image));
    if (!decoded.warning.empty())
      result.problem = {Severity::kWarning, Kind::kBrokenImage, name,
                        decoded.warning.substr(name.size() + 2)};
  } catch (const Error& error) {
    std::string message = error.what();
    if (message.starts_with(name + ": ")) message.erase(0, name.size() + 2);
    if (picture.usable) result.problem = {Severity::kError, Kind::kBrokenImage, name, std::move(message)};
  } catch (const std::exception& error) {
    result.problem = {Severity::kError, Kind::kOther, name, error.what()};
  }
  return result;
}

class Checker {
 public:
  Checker(const Dataset& dataset, const CheckOptions& options)
      : dataset_(dataset), options_(options), pool_(options.threads) {}

  DatasetCheck check() {
    for (const Split& split : dataset_.splits) check_split(split);
    if (has_boxes_ && dataset_.find_split("val") == nullptr)
      add(Severity::kWarning, Kind::kOther, shown(dataset_.file),
          fmt::format(
              "there is no split 'val', which training needs; 'marrow data split {} OUT' divides a dataset",
              shown(dataset_.file)));
    report_near_duplicates();
    report_orphans();
    if (!told_unused_) report_unused();
    report_unused_classes();
    for (const Problem& problem : check_.problems) {
      check_.errors += problem.severity == Severity::kError;
      check_.warnings += problem.severity == Severity::kWarning;
    }
    if (!options_.sheet.empty()) draw_sheet();
    if (!options_.near_sheet.empty() && !near_.empty())
      image::write_image(options_.near_sheet, draw_pair_sheet(near_, dataset_.reading).pixels());
    return std::move(check_);
  }

 private:
  struct Place {
    size_t split;
    ImageFile image;
  };
  struct Seen {
    ImageFile image;
    Look look;
  };

  void add(Severity severity, Kind kind, std::string place, std::string message) {
    check_.problems.push_back({severity, kind, std::move(place), std::move(message)});
  }

  Progress progress(const std::string& what) const {
    if (!options_.progress) return {};
    return [this, what](int64_t done, int64_t total) { options_.progress(what, done, total); };
  }

  void check_split(const Split& split) {
    SplitCheck& result = check_.splits.emplace_back();
    looks_.emplace_back();
    result.name = split.name;
    result.class_objects.resize(dataset_.names.size());
    result.class_images.resize(dataset_.names.size());
    result.box_sizes.resize(kCheckSizeClasses);
    Scan scan;
    try {
      const auto reader = make_split_reader(dataset_, split);
      reader->list();
      scan = scan_split(*reader, options_.threads, progress(split.name + ": labels"));
      result.listed = static_cast<int64_t>(scan.pictures.size());
    } catch (const Error& error) {
      // Training looks at 'test' only when it is asked to.
      return add(split.name == "test" ? Severity::kWarning : Severity::kError, Kind::kOther,
                 shown(dataset_.file), error.what());
    }
    const std::string no_objects = has_boxes_ ? why_no_objects(scan, split.name) : "";
    std::ranges::move(scan.problems, std::back_inserter(check_.problems));
    // Training refuses such a split; others can be measured, to no purpose.
    if (!no_objects.empty())
      add(split.name == "train" ? Severity::kError : Severity::kWarning, Kind::kNoObjects,
          shown(dataset_.file), no_objects);
    const size_t number = check_.splits.size() - 1;
    inspect_images(scan, number);
    if (dataset_.format == DatasetFormat::kYolo && !is_sharded(split)) note_label_files(scan);
    if (dataset_.reading.samples.bits == 8) note_lost_depth(scan, split.name);
    for (ScannedImage& picture : scan.pictures) {
      if (!picture.usable) continue;
      count(picture.image, result);
      note_missing_outlines(picture.image);
      images_.push_back(std::move(picture.image));
    }
  }

  void note_missing_outlines(const LabelledImage& image) {
    if (std::optional<Problem> problem = missing_outlines(dataset_, image))
      check_.problems.push_back(std::move(*problem));
  }

  // 16 bits of which few are used become a few levels of 8 bits.
  void note_lost_depth(const Scan& scan, const std::string& split) {
    constexpr size_t kLooked = 20;           // images; those of a split are alike
    constexpr int kUsed = kMaxSample16 / 4;  // more of the range leaves enough levels
    int low = kMaxSample16, high = 0;
    size_t looked = 0;
    for (const ScannedImage& picture : scan.pictures) {
      if (!picture.usable || looked == kLooked) continue;
      try {
        const image::DecodedImage decoded = decode_image(
            picture.image, {.fit = {}, .reading = {{dataset_.reading.samples.channels, 16}, {}}});
        if (decoded.file_bits != 16) return;
        const image::Image& image = decoded.image;
        for (int y = 0; y < image.height(); ++y) {
          const std::span row(image.samples<uint16_t>(y), image.row_bytes() / sizeof(uint16_t));
          const auto [least, most] = std::ranges::minmax(row);
          low = std::min<int>(low, least);
          high = std::max<int>(high, most);
        }
        ++looked;
      } catch (const Error&) {
        return;  // said elsewhere
      }
    }
    if (looked == 0 || high - low > kUsed || low >= high) return;  // of one value there is no range
    add(Severity::kWarning, Kind::kOther, shown(dataset_.file),
        fmt::format("split '{}': images of 16 bits with values from {} to {}, read as 8 bits, have {} left. "
                    "'bits: 16' and 'range: [{}, {}]' keep what they hold",
                    split, low, high,
                    counted(image::narrow_sample(static_cast<uint16_t>(high)) -
                                image::narrow_sample(static_cast<uint16_t>(low)) + 1,
                            "level"),
                    low, high));
  }

  // Empty when there are objects. A split without usable images has more telling problems.
  std::string why_no_objects(const Scan& scan, const std::string& split) {
    const auto is_usable = [](const ScannedImage& picture) { return picture.usable; };
    const auto has_labels = [](const ScannedImage& picture) {
      return picture.usable && !picture.image.labels.empty();
    };
    if (std::ranges::none_of(scan.pictures, is_usable) || std::ranges::any_of(scan.pictures, has_labels))
      return {};
    told_unused_ = true;
    return no_objects_message(dataset_, split, labels_of(scan));
  }

  void note_label_files(const Scan& scan) {
    for (const ScannedImage& picture : scan.pictures) {
      label_files_[picture.annotation.parent_path()].insert(picture.annotation.filename().string());
      if (picture.annotation_stamp.bytes >= 0)
        read_.insert(picture.annotation);
      else
        unlabelled_.push_back(picture.image.path);
    }
  }

  // Labels of images that seem to have none, in folders that are not read. Those beside their images were
  // named by the scan.
  void report_unused() {
    std::set<fs::path> beside;
    for (const fs::path& image : unlabelled_) beside.insert(image.parent_path());
    for (const UnusedLabels& unused : find_unused_labels(dataset_, unlabelled_, read_)) {
      const bool is_named =
          unused.suffix == ".txt" && (beside.contains(unused.folder) || label_files_.contains(unused.folder));
      if (!is_named) add(Severity::kWarning, Kind::kOrphanLabel, shown(unused.folder), unused.text(dataset_));
    }
  }

  void inspect_images(Scan& scan, size_t split) {
    const auto total = static_cast<int64_t>(scan.pictures.size());
    std::vector<Inspected> inspected(scan.pictures.size());
    SharedProgress shared(images_progress_ = progress(check_.splits[split].name + ": images"), total);
    pool_.parallel_for(total, [&](int64_t i, int) {
      inspected[static_cast<size_t>(i)] = inspect(scan.pictures[static_cast<size_t>(i)], dataset_.reading);
      shared.advance();
    });
    for (size_t i = 0; i < inspected.size(); ++i) {
      Inspected& picture = inspected[i];
      if (picture.problem) {
        if (picture.problem->severity == Severity::kError) scan.pictures[i].usable = false;
        check_.problems.push_back(std::move(*picture.problem));
      }
      if (!picture.readable) continue;
      const bool is_new = find_duplicates(scan.pictures[i].image, picture.hash, split);
      if (is_new && picture.look) looks_[split].push_back({scan.pictures[i].image, *picture.look});
    }
  }

  // Whether no image of this content was met before.
  bool find_duplicates(const ImageFile& image, uint64_t hash, size_t split) {
    std::vector<Place>& places = by_content_[hash];
    bool is_new = true;
    for (const Place& other : places) {
      if (other.image.path != image.path && !equal_content(other.image, image)) continue;
      if (other.split != split)
        add(Severity::kError, Kind::kOverlap, shown(image.path),
            fmt::format("the same image as {} of split '{}'", shown(other.image.path),
                        check_.splits[other.split].name));
      else
        add(Severity::kWarning, Kind::kDuplicateImage, shown(image.path),
            other.image.path == image.path ? "listed twice"
                                           : fmt::format("the same image as {}", shown(other.image.path)));
      is_new = false;
      break;
    }
    places.push_back({split, image});
    return is_new;
  }

  // Images of two splits that show the same: what is measured on them was learned by heart.
  void report_near_duplicates() {
    for (size_t split = 1; split < looks_.size(); ++split) {
      const std::vector<Seen>& all = looks_[split];
      std::vector<std::optional<Place>> earlier(all.size());
      const auto total = static_cast<int64_t>(all.size());
      SharedProgress shared(images_progress_ = progress(check_.splits[split].name + ": near-duplicates"),
                            total);
      pool_.parallel_for(total, [&](int64_t i, int) {
        const auto at = static_cast<size_t>(i);
        earlier[at] = first_alike(all[at].look, split);
        shared.advance();
      });
      for (size_t i = 0; i < all.size(); ++i)
        if (earlier[i]) report_near_duplicate(all[i].image, *earlier[i]);
    }
  }

  std::optional<Place> first_alike(const Look& look, size_t split) const {
    for (size_t other = 0; other < split; ++other) {
      const auto found = std::ranges::find_if(
          looks_[other], [&](const Seen& earlier) { return look_alike(earlier.look, look); });
      if (found != looks_[other].end()) return Place{other, found->image};
    }
    return std::nullopt;
  }

  void report_near_duplicate(const ImageFile& image, const Place& earlier) {
    add(Severity::kWarning, Kind::kNearDuplicate, shown(image.path),
        fmt::format(
            "shows nearly the same as {} of split '{}'; 'marrow data split' keeps such images together",
            shown(earlier.image.path), check_.splits[earlier.split].name));
    near_.emplace_back(earlier.image, image);
  }

  // Lists and notes that programs for labelling leave among the labels.
  static bool is_about_the_dataset(const std::string& name) {
    for (const char* known : {"classes.txt", "names.txt", "labels.txt", "train.txt", "val.txt", "valid.txt",
                              "test.txt", "predefined_classes.txt"})
      if (name == known) return true;
    return to_lower(name).starts_with("readme");
  }

  // Label files beside those of the images that belong to no image of any split: misspelled, or left
  // behind.
  void report_orphans() {
    for (const auto& [folder, names] : label_files_) {
      std::vector<std::string> orphans;
      std::error_code error;
      for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
        const std::string name = entry->path().filename().string();
        if (to_lower(entry->path().extension().string()) == ".txt" && !is_about_the_dataset(name) &&
            !names.contains(name))
          orphans.push_back(name);
      }
      std::ranges::sort(orphans);
      for (const std::string& name : orphans)
        add(Severity::kWarning, Kind::kOrphanLabel, shown(folder / name),
            "there is no image for this label file");
    }
  }

  void count(const LabelledImage& image, SplitCheck& result) const {
    ++result.usable;
    result.backgrounds += image.labels.empty();
    result.objects += static_cast<int64_t>(image.labels.size());
    result.ignored += static_cast<int64_t>(image.ignored.size());
    std::set<int> classes;
    const double scale = static_cast<double>(options_.image_size) / std::max(image.width, image.height);
    for (const Label& label : image.labels) {
      const auto class_id = static_cast<size_t>(label.class_id);
      ++result.class_objects[class_id];
      result.class_images[class_id] += classes.insert(label.class_id).second;
      const double side = std::min(label.box.width * image.width, label.box.height * image.height) * scale;
      const auto* bin = std::ranges::upper_bound(kCheckSizes, side);
      ++result.box_sizes[static_cast<size_t>(bin - std::begin(kCheckSizes))];
    }
  }

  void report_unused_classes() {
    const std::string what = has_boxes_ ? "objects" : "images";
    std::vector<int64_t> objects(dataset_.names.size());
    for (const SplitCheck& split : check_.splits)
      for (size_t i = 0; i < objects.size(); ++i) objects[i] += split.class_objects[i];
    for (size_t i = 0; i < objects.size(); ++i) {
      const std::string name = printable(dataset_.names[i], 60);
      if (objects[i] == 0) {
        add(Severity::kWarning, Kind::kUnusedClass, shown(dataset_.file),
            fmt::format("class {} '{}' has no {}", i, name, what));
        continue;
      }
      for (const SplitCheck& split : check_.splits)
        if ((split.name == "train" || split.name == "val") && split.usable > 0 && split.class_objects[i] == 0)
          add(Severity::kWarning, Kind::kUnusedClass, shown(dataset_.file),
              fmt::format("class {} '{}' has no {} in split '{}'", i, name, what, split.name));
    }
  }

  void draw_sheet() {
    std::vector<const LabelledImage*> images;
    for (const LabelledImage& image : images_) images.push_back(&image);
    const image::Image sheet = draw_label_sheet(images, dataset_.names, dataset_.reading, dataset_.task);
    if (!sheet.empty()) image::write_image(options_.sheet, sheet.pixels());
  }

  const Dataset& dataset_;
  const CheckOptions& options_;
  const bool has_boxes_ = dataset_.format != DatasetFormat::kFolders;
  cpu::ThreadPool pool_;
  Progress images_progress_;
  DatasetCheck check_;
  std::vector<LabelledImage> images_;  // the usable ones of all splits
  std::map<uint64_t, std::vector<Place>> by_content_;
  std::vector<std::vector<Seen>> looks_;                   // by split; one of equal images
  std::vector<std::pair<ImageFile, ImageFile>> near_;      // near-duplicates in two splits
  std::map<fs::path, std::set<std::string>> label_files_;  // by folder
  std::set<fs::path> read_;                                // kYolo: label files
  std::vector<fs::path> unlabelled_;                       // kYolo: images without one
  bool told_unused_ = false;
};

}  // namespace

DatasetCheck check_dataset(const Dataset& dataset, const CheckOptions& options) {
  return Checker(dataset, options).check();
}

}  // namespace marrow::data
