// What a labelled image is, whichever format it came from, and the label files of YOLO.
//
// Boxes and polygons are normalised by the image's upright size (EXIF orientation applied), in double
// precision: a box that came from whole pixels can be written again without a difference in the last digit.
// Values; nothing here is synchronised.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "marrow/base/task.h"
#include "marrow/data/skeleton.h"
#include "marrow/geometry/box.h"

namespace marrow::data {

struct Label {
  int class_id = 0;
  CentredBox<Normalised, double> box;
  bool operator==(const Label&) const = default;
};

// The outline of an object: its points in order, the last followed by the first. What is seen in several
// parts, being half hidden, has theirs one after another, and PartStarts says where the second and the
// further ones begin; joined_parts() makes one outline of them.
using Polygon = std::vector<Point<Normalised, double>>;
using PartStarts = std::vector<uint32_t>;

using LabelKeypoint = Keypoint<Normalised, double>;

Polygon box_polygon(const Label& label);  // the four corners

// What clip_to_image() did to a box.
enum class Clipped { kInside, kClipped, kGone };

// A box that reaches out of the image by more than kLabelTolerance ends at its edge; one within the tolerance
// stays as it is. The one rule for all formats.
Clipped clip_to_image(Box<Normalised, double>& box);

CentredBox<Normalised, double> centred(const Box<Normalised, double>& box);

// The class, in any case, whose boxes are regions to ignore: it is none of a dataset's names.
inline constexpr std::string_view kIgnoreName = "ignore";
bool is_ignore_name(std::string_view name);
inline constexpr int kIgnoreClass = -2;  // of a region of that class

// A region to ignore: what is there is neither an object to be learned or counted as missed, nor background.
struct IgnoredLabel {
  // COCO's iscrowd, VOC's difficult, the class `ignore`.
  enum class Reason : uint8_t { kCrowd, kDifficult, kClass };
  Label label;  // kClass: of kIgnoreClass
  Reason reason = Reason::kCrowd;
  Polygon polygon = {};   // of a crowd whose dataset has outlines: where it is; empty: in the whole box
  PartStarts parts = {};  // of that
  bool operator==(const IgnoredLabel&) const = default;
};
// Has a class of its own, and no form in YOLO's label files.
inline bool is_crowd_or_difficult(const IgnoredLabel& ignored) {
  return ignored.reason != IgnoredLabel::Reason::kClass;
}

// What is labelled in an image.
struct ImageLabels {
  std::vector<Label> labels;
  std::vector<Polygon> polygons;  // empty, or one a label with at least one point each
  std::vector<PartStarts> parts;  // empty, or one a polygon: rising, between 0 and the number of its points
  std::vector<LabelKeypoint> keypoints;  // empty, or as many a label as the dataset's kpt_shape says
  std::vector<IgnoredLabel> ignored;
  bool operator==(const ImageLabels&) const = default;
};

// Where an image lies that has no file of its own: a member of a tar.
struct ArchivePart {
  std::filesystem::path archive;
  uint64_t offset = 0, bytes = 0;
  bool operator==(const ArchivePart&) const = default;
};

struct LabelledImage : ImageLabels {
  std::filesystem::path path;  // of a member: the tar's, and below it the member's name
  int width = 0;               // pixels, upright
  int height = 0;
  std::shared_ptr<const ArchivePart> part = {};
  bool operator==(const LabelledImage&) const = default;
};

// Keeps the labels of these numbers, in this order, with all that belongs to them.
inline void keep_labels(ImageLabels& labels, const std::vector<size_t>& order) {
  const auto pick = [&](auto& list, size_t each) {
    std::remove_reference_t<decltype(list)> kept;
    kept.reserve(order.size() * each);
    for (const size_t i : order)
      for (size_t k = 0; k < each; ++k) kept.push_back(std::move(list[i * each + k]));
    list = std::move(kept);
  };
  const size_t count = labels.labels.size();
  if (!labels.polygons.empty()) pick(labels.polygons, 1);
  if (!labels.parts.empty()) pick(labels.parts, 1);
  if (!labels.keypoints.empty()) pick(labels.keypoints, labels.keypoints.size() / count);
  pick(labels.labels, 1);
}

// The label's box as COCO has it.
SizedBox<ImagePixels, double> pixel_box(const Label& label, const LabelledImage& image);

// Something wrong with a dataset. `place` is "file" or "file:line".
struct Problem {
  enum class Severity : uint8_t { kNote, kWarning, kError };
  enum class Kind : uint8_t {
    kMissingImage,    // named by a list or an annotation, but not there
    kBrokenImage,     // cannot be read, or only in part
    kSmallImage,      // below 10 pixels a side
    kLabelSyntax,     // a row or an element that does not parse
    kOutside,         // a box outside the image
    kUnknownClass,    // a class that the dataset does not name
    kZeroArea,        // a box without area; dropped
    kDuplicateLabel,  // the same row twice; kept once
    kDuplicateImage,  // the same image twice
    kOverlap,         // an image in two splits
    kUnusedClass,     // a class without objects
    kSizeMismatch,    // the annotation states another size than the image has
    kOrphanLabel,     // a label file that is not read: without an image, or not where labels are looked for
    kMixedRows,       // boxes and polygons in one label file
    kNoObjects,       // a split without anything to learn
    kNearDuplicate,   // images of two splits that look alike
    kOther,
  };
  Severity severity = Severity::kError;
  Kind kind = Kind::kOther;
  std::string place;
  std::string message;
  bool operator==(const Problem&) const = default;
  std::string text() const { return place + ": " + message; }
};
std::string_view problem_kind_name(Problem::Kind kind);      // "missing_image", ...
std::string_view severity_name(Problem::Severity severity);  // "note", "warning", "error"

// The last "/images/" of the path becomes "/labels/" and the suffix ".txt"; a path without it keeps
// its folder.
std::filesystem::path yolo_label_path(const std::filesystem::path& image);

inline constexpr size_t kMaxLabelFileBytes = 16 << 20;
inline constexpr int kMinImageSide = 10;         // pixels; smaller images are refused
inline constexpr double kLabelTolerance = 0.01;  // how far outside [0, 1] a row may reach
inline constexpr int kProblemsPerFile = 20;      // further ones are counted, not listed

// The problems of one file while it is read: the first kProblemsPerFile, and how many there were.
class ProblemList {
 public:
  void add(Problem::Severity severity, Problem::Kind kind, std::string place, std::string message);
  int errors() const { return errors_; }
  std::vector<Problem> take(const std::string& file);

 private:
  std::vector<Problem> problems_;
  int count_ = 0;
  int errors_ = 0;
  Problem::Severity hidden_ = Problem::Severity::kNote;
};

// The content of one annotation: labels, and what was found wrong. Without `usable` the image is not to be
// used (an object that cannot be read would be trained as background).
struct ParsedLabels : ImageLabels {
  bool usable = true;
  std::vector<Problem> problems;

  // Adds what another annotation says of the same image.
  void append(ParsedLabels other);
};

// How the rows of a YOLO label file are read.
struct YoloRows {
  int classes = 0;
  KeypointShape keypoints = {};
  int ignore_class = -1;  // one of `classes` whose rows are regions to ignore; those behind it count one less
  Task task = Task::kDetect;
};

// A YOLO label file. Of equal rows one is kept, and then all rows are sorted. Rows of wrong lengths, with a
// class outside 0..classes-1 or with anything that is not a finite number make the file unusable.
//
// For a detector every row is judged alone: 5 columns are a box "class cx cy w h"; an odd number from 7
// on is a polygon "class x1 y1 x2 y2 ...", whose box is its bounds. With keypoints, which are passed over, a
// row is a box of 5 columns or of 5 + keypoints.numbers(). Boxes without area are dropped, those that reach
// outside the image clipped, with a warning, and those beyond the tolerance make the file unusable; a file
// that mixes boxes and polygons has a warning.
//
// For the other tasks the rows of a file are of one kind, and by the rules of the reference implementation
// nothing is dropped or clipped:
//   kSegment, kObb: polygons of three points or more. A file of boxes alone is read as such; whoever loads
//     the split refuses it. Rows of 5 + keypoints.numbers() are boxes, too. What is judged is the box around
//     the polygon: each of its four numbers is in [-0.01, 1.01], so that a point may lie outside.
//   kPose: 5 + keypoints.numbers() columns. Keypoints x, y are at most 1.01, all numbers at least -0.01.
//     Keypoints of two numbers are visible (1) unless one is negative.
ParsedLabels parse_yolo_labels(std::string_view text, const std::string& file, const YoloRows& rules);

// Of a number in a label file: six, as %g writes it, or as many as give the same number again.
enum class LabelDigits { kSix, kAll };

// The lines of a YOLO label file; regions to ignore last, by the class that they have.
// kSegment and kObb write labels that have a polygon as such, and then all of them, its parts joined. kPose
// writes keypoints as well.
std::string yolo_label_lines(const LabelledImage& image, Task rows, KeypointShape keypoints = {},
                             LabelDigits digits = LabelDigits::kSix);

}  // namespace marrow::data
