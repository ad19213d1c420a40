// COCO's JSON files, read in one pass without a tree of the whole file: the training annotations of COCO have
// 450 MB.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "marrow/data/labels.h"
#include "marrow/geometry/box.h"
#include "marrow/geometry/size.h"

namespace marrow::data {

inline constexpr size_t kMaxCocoBytes = size_t{2} << 30;
inline constexpr size_t kMaxJsonDepth = 32;

struct CocoCategory {
  int64_t id = 0;
  std::string name;
  std::vector<std::string> keypoints = {};  // their names, of a category of poses
  bool operator==(const CocoCategory&) const = default;
};

struct CocoImage {
  int64_t id = 0;
  bool id_is_text = false;
  std::string file_name;
  double width = 0, height = 0;  // as stated; 0 when not
  int line = 0;
};

// A segmentation that is no polygon: run lengths, down the columns. As stated, unchecked.
struct CocoMask {
  double height = 0, width = 0;
  std::string text;  // compressed; empty when counts are given
  std::vector<uint32_t> counts;
  bool broken = false;  // counts that are none
};

// What the object's segmentation is taken as.
struct CocoOutline {
  std::vector<double> points;  // x, y pairs in pixels, all parts one after another; empty without
  PartStarts parts;            // where the second and further ones begin, in pairs
};

struct CocoObject {
  int64_t id = 0, image_id = 0, category_id = 0;
  SizedBox<ImagePixels, double> box;
  CocoOutline outline;  // of polygons; lists of an odd number, or of less than three points, are left out
  std::shared_ptr<CocoMask> mask;  // null without
  std::vector<double> keypoints;   // x, y, visibility in turn
  int64_t index = 0;               // in the list of annotations, from 1
  std::string broken;              // what it lacks to be used; its image then cannot be used either
  bool crowd = false;
  bool difficult = false;  // "difficult" or "ignore", as converters from VOC write
  int line = 0;
};

struct CocoFile {
  std::vector<CocoCategory> categories;  // sorted by id
  std::vector<CocoImage> images;         // as in the file
  std::vector<CocoObject> objects;       // sorted by image_id; equals keep the file's order
  std::vector<std::string> text_ids;     // ids that are no numbers
  std::vector<Problem> problems;         // entries that belong to no image

  // An id as the file has it. Ids are only compared: a text that is no number stands for kFirstTextId + i.
  std::string id_text(int64_t id) const;
  // "annotation 7".
  std::string name_of(const CocoObject& object) const;
};
inline constexpr int64_t kFirstTextId = INT64_MIN;
inline constexpr int64_t kNoId = INT64_MAX;

// Ids may be numbers (1, 1.0) or texts ("1" is 1), and numbers may be texts ("64"). Keys that are not used
// may have any value, even Python's NaN, which is no JSON. Throws Error{kFormat} "file:line: ..." for what is
// no JSON or not COCO's (a file whose annotations all lack boxes is not), kFile when it cannot be read.
CocoFile read_coco(const std::filesystem::path& path);
CocoFile parse_coco(std::string_view text, const std::string& name);

// The labels of an image from its objects, which are `coco`'s. `stated` is the image as the file describes
// it; where it states no size, width and height (of the image itself, upright) count. class_of maps category
// ids to classes, or to kIgnoreClass; -1 leaves the object out with a problem. A broken object makes the
// image unusable. Boxes that reach outside by more than kLabelTolerance are clipped, with a problem; without
// area they are dropped. Of equal objects one is kept.
struct CocoClasses {
  std::vector<std::pair<int64_t, int>> class_of;  // category id -> class, sorted by id
  int find(int64_t category_id) const;            // -1 when there is none
};
// Where the task is to segment or of turned boxes an object's outline is its polygons, or those around its
// mask, or its box; the label's box is then that around the outline. Poses are objects with a keypoint that
// is labelled; others are left out.
struct CocoRules {
  Task task = Task::kDetect;
  KeypointShape keypoints = {};
};
ParsedLabels coco_labels(const CocoFile& coco, const CocoImage& stated, std::span<const CocoObject> objects,
                         const CocoClasses& classes, int width, int height, const std::string& file,
                         const CocoRules& rules = {});

// The outlines of a mask's parts; nothing where it is not of this size, its runs do not fill it, or it is
// larger than kMostMaskPixels.
inline constexpr int64_t kMostMaskPixels = int64_t{1} << 26;
CocoOutline outline_of(const CocoMask& mask, Size picture);

}  // namespace marrow::data
