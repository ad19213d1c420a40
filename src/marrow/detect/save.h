// Files that prediction leaves behind: annotated images, label files, crops.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <span>
#include <string>

#include "marrow/detect/extras.h"
#include "marrow/detect/nms.h"
#include "marrow/image/image.h"

namespace marrow::detect {

// The names of one run's outputs. What images of one name in several folders leave behind stays apart: the
// first is p, the second p2, whatever their suffixes. No two of them differ in case alone, which some disks
// take for the same.
class OutputNames {
 public:
  std::string take(const std::filesystem::path& picture);  // without a suffix

 private:
  std::set<std::string> taken_;      // in lower case
  std::map<std::string, int> next_;  // number of a name that many images have
};

// Where the annotated form of an image goes: `name` with the image's suffix, or .jpg for kinds that are not
// written.
std::filesystem::path annotated_path(const std::filesystem::path& folder, const std::string& name,
                                     const std::filesystem::path& picture);

// Writes label_lines to `path`, whose folder exists, in place of what an earlier run left there; without
// detections no file is there afterwards. Throws Error{kFile}.
void write_labels(const std::filesystem::path& path, Size picture, std::span<const Detection> detections,
                  bool with_confidence, const DetectionExtras& extras = {});

// The crops of one run.
class CropFolder {
 public:
  explicit CropFolder(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // Writes every detection's pixels to CLASS NAME/STEM.jpg, STEM_2.jpg, ..., over those of an earlier run
  // but never over another image's of this run; enlarged by 2 % and 10 pixels, clipped to the image; JPEG
  // quality 95 without chroma subsampling. `image` is the image without boxes drawn. Makes the folders; a
  // class name that cannot be a folder's is changed (folder_name). Returns the number written: a box wholly
  // outside the image has none. Throws Error{kFile}.
  int save(const std::string& stem, const image::Image& image, std::span<const Detection> detections,
           std::span<const std::string> names);

 private:
  std::filesystem::path folder_;
  std::set<std::string> taken_;  // CLASS NAME/STEM.jpg in lower case
};

// The name with slashes and control characters as '_', at most 200 bytes, never "", "." or "..".
std::string folder_name(const std::string& class_name);

}  // namespace marrow::detect
