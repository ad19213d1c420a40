#include "marrow/loader/detection_batch.h"

#include <algorithm>
#include <string>

#include "marrow/base/error.h"
#include "marrow/outline/raster.h"
#include "marrow/outline/turned_box.h"

namespace marrow::loader {
namespace {

constexpr size_t kMostMaskBytes = size_t{1} << 31;

int64_t as_int(size_t value) {
  return static_cast<int64_t>(value);
}

Size mask_size(Size input, const MaskOptions& options) {
  return {input.width / options.ratio, input.height / options.ratio};
}

void require_room(size_t masks, Size size) {
  const size_t bytes =
      masks * static_cast<size_t>(size.width) * static_cast<size_t>(size.height) * sizeof(int32_t);
  if (bytes > kMostMaskBytes)
    throw Error(ErrorKind::kUsage, "overlap_mask=False: " + std::to_string(masks) + " masks of " +
                                       std::to_string(size.width) + "x" + std::to_string(size.height) +
                                       " pixels do not fit into memory");
}

}  // namespace

std::vector<int32_t> draw_masks(std::vector<Object>& objects, Size input, const MaskOptions& options) {
  const Size size = mask_size(input, options);
  if (!options.overlap) {
    require_room(objects.size(), size);
    std::vector<int32_t> all;
    for (const Object& object : objects) {
      const Mask mask = outline::fill_small(object.polygon, input, options.ratio);
      all.insert(all.end(), mask.pixels.begin(), mask.pixels.end());
    }
    return all;
  }
  outline::OverlappingMasks masks(size);
  for (const Object& object : objects) masks.add(outline::fill_small(object.polygon, input, options.ratio));
  outline::Overlapped overlapped = std::move(masks).take();
  std::vector<Object> ordered;
  for (const size_t i : overlapped.order) ordered.push_back(std::move(objects[i]));
  objects = std::move(ordered);
  return std::move(overlapped.pixels);
}

void BatchRows::add(std::span<const Object> objects, std::span<const Box<ImagePixels>> ignored, Size input,
                    std::span<const int32_t> masks) {
  const auto image = static_cast<float>(images_++);
  const auto w = static_cast<float>(input.width), h = static_cast<float>(input.height);
  for (const Object& object : objects) {
    ++objects_;
    targets_.insert(targets_.end(), {image, static_cast<float>(object.class_id)});
    if (task_ == Task::kObb) {
      const RotatedBox<ImagePixels> box = outline::turned_box(object.polygon);
      targets_.insert(targets_.end(), {box.cx / w, box.cy / h, box.width / w, box.height / h, box.angle});
    } else {
      const CentredBox<Normalised> box = normalised(object.box, input);
      targets_.insert(targets_.end(), {box.cx, box.cy, box.width, box.height});
    }
    if (task_ != Task::kPose) continue;
    keypoints_ = as_int(object.keypoints.size());
    for (const Keypoint<ImagePixels>& point : object.keypoints)
      points_.insert(points_.end(), {point.x / w, point.y / h, point.visibility});
  }
  for (const Box<ImagePixels>& region : ignored) {
    const CentredBox<Normalised> box = normalised(region, input);
    ignored_.insert(ignored_.end(), {image, box.cx, box.cy, box.width, box.height});
  }
  masks_.insert(masks_.end(), masks.begin(), masks.end());
}

void BatchRows::move_into(DetectionBatch& batch, Size input, const MaskOptions& options) && {
  const int64_t columns = task_ == Task::kObb ? 7 : 6;
  batch.targets = Tensor::from({objects_, columns}, targets_);
  batch.ignored = Tensor::from({as_int(ignored_.size() / 5), 5}, ignored_);
  if (task_ == Task::kPose) batch.keypoints = Tensor::from({objects_, keypoints_, 3}, points_);
  if (task_ != Task::kSegment) return;
  const Size size = mask_size(input, options);
  if (!options.overlap) require_room(static_cast<size_t>(objects_), size);
  batch.overlapping_masks = options.overlap;
  batch.masks = Tensor({options.overlap ? images_ : objects_, size.height, size.width}, DType::kInt32);
  std::ranges::copy(masks_, batch.masks.values<int32_t>().begin());
}

}  // namespace marrow::loader
