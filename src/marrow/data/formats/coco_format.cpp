#include "marrow/data/formats/coco_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "marrow/base/text.h"
#include "marrow/data/pixel_labels.h"
#include "marrow/geometry/mask.h"
#include "marrow/outline/raster.h"

namespace marrow::data {

std::string CocoFile::id_text(int64_t id) const {
  const auto index = static_cast<uint64_t>(id) - static_cast<uint64_t>(kFirstTextId);
  return index < text_ids.size() ? text_ids[index] : std::to_string(id);
}

std::string CocoFile::name_of(const CocoObject& object) const {
  return object.id != kNoId ? fmt::format("annotation {}", printable(id_text(object.id), 60))
                            : fmt::format("annotation number {} of the list", object.index);
}

CocoOutline outline_of(const CocoMask& mask, Size picture) {
  const int64_t pixels = int64_t{picture.width} * picture.height;
  if (mask.broken || mask.height != picture.height || mask.width != picture.width || pixels > kMostMaskPixels)
    return {};
  RunLengths runs = mask.counts;
  if (!mask.text.empty()) {
    std::optional<RunLengths> parsed = parse_runs(mask.text, static_cast<size_t>(pixels) + 1);
    if (!parsed) return {};
    runs = std::move(*parsed);
  }
  const std::optional<Mask> decoded = mask_of_runs(runs, picture);
  if (!decoded) return {};
  CocoOutline result;
  for (const std::vector<Point<ImagePixels>>& part : outline::parts_of(*decoded)) {
    if (!result.points.empty()) result.parts.push_back(static_cast<uint32_t>(result.points.size() / 2));
    for (const auto& [x, y] : part) result.points.insert(result.points.end(), {x, y});
  }
  return result;
}

namespace {

// The outline of an object, which has none of less than three points.
CocoOutline outline_of(const CocoObject& object, Size picture) {
  constexpr size_t kLeast = 6;
  CocoOutline result = object.mask != nullptr ? outline_of(*object.mask, picture) : object.outline;
  return result.points.size() >= kLeast ? result : CocoOutline{};
}

bool is_labelled(const CocoObject& object) {
  for (size_t i = 2; i < object.keypoints.size(); i += 3)
    if (object.keypoints[i] > 0) return true;
  return false;
}

}  // namespace

int CocoClasses::find(int64_t category_id) const {
  const auto found = std::ranges::lower_bound(class_of, category_id, {}, &std::pair<int64_t, int>::first);
  return found == class_of.end() || found->first != category_id ? -1 : found->second;
}

ParsedLabels coco_labels(const CocoFile& coco, const CocoImage& stated, std::span<const CocoObject> objects,
                         const CocoClasses& classes, int width, int height, const std::string& file,
                         const CocoRules& rules) {
  PixelLabels labels(stated.width, stated.height, width, height, rules.task);
  const Size stated_size = labels.stated_size();
  // A file on one line has no lines to name.
  const std::string image = printable(stated.file_name, 120);
  labels.check_size({fmt::format("{}:{}", file, stated.line), image + ": "});
  for (const CocoObject& object : objects) {
    const LabelOrigin origin = {fmt::format("{}:{}", file, object.line),
                                fmt::format("{}: {}: ", image, coco.name_of(object))};
    const size_t keypoint_numbers = static_cast<size_t>(rules.keypoints.count) * 3;
    const bool is_pose = rules.task == Task::kPose && !object.crowd && is_labelled(object);
    std::string broken = object.broken;
    if (broken.empty() && is_pose && object.keypoints.size() != keypoint_numbers)
      broken = fmt::format("list of {} numbers of keypoints", keypoint_numbers);
    if (!broken.empty()) {
      labels.set_unusable();
      labels.problem(Problem::Severity::kError, Problem::Kind::kLabelSyntax, origin,
                     fmt::format("no {}", broken));
      continue;
    }
    const int class_id = classes.find(object.category_id);
    if (class_id == -1) {
      labels.problem(Problem::Severity::kWarning, Problem::Kind::kUnknownClass, origin,
                     fmt::format("category {} is not a class of this dataset; left out",
                                 printable(coco.id_text(object.category_id), 60)));
      continue;
    }
    // Somebody without a point is no example of a pose, and nobody is wrong to be found there.
    const bool is_pointless = rules.task == Task::kPose && !is_pose && !object.crowd;
    PixelObject pixels = {class_id, object.box.corner_form(), object.crowd, object.difficult || is_pointless};
    CocoOutline outline;
    // A crowd's is kept only where the task has outlines; it is nearly always a mask, which takes time to
    // trace.
    if (rules.task != Task::kPose && (!object.crowd || has_outlines(rules.task)))
      outline = outline_of(object, stated_size);
    if (!object.crowd && !outline.points.empty() && has_outlines(rules.task) && object.box.width > 0 &&
        object.box.height > 0)
      pixels.box = bounds_of_pairs(outline.points);
    pixels.outline = outline.points;
    pixels.parts = outline.parts;
    if (is_pose) pixels.keypoints = object.keypoints;
    labels.add(pixels, origin);
  }
  return labels.take(file);
}

}  // namespace marrow::data
