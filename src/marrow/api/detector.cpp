#include <fmt/format.h>

#include <algorithm>
#include <mutex>

#include "marrow/api/inside.h"
#include "marrow/detect/results.h"

namespace marrow::v0 {
namespace {

constexpr int kMostDetections = 1'000'000;

constexpr int kLargestTile = 16384;  // pixels
constexpr float kMostOverlap = 0.9f;

void check_fraction(const char* name, float value, float most = 1) {
  if (!(value >= 0 && value <= most))
    throw Error(ErrorKind::kUsage, fmt::format("{} {}; wanted 0 to {}", name, value, most));
}

predict::MaskSize mask_size(MaskSize size) {
  switch (size) {
    case MaskSize::kInput:
      return predict::MaskSize::kInput;
    case MaskSize::kImage:
      return predict::MaskSize::kImage;
  }
  throw Error(ErrorKind::kUsage, fmt::format("mask size {}; wanted 0 (of the input) or 1 (of the image)",
                                             static_cast<int>(size)));
}

void check_options(const DetectorOptions& options, size_t classes) {
  if (options.confidence) check_fraction("confidence", *options.confidence);
  check_fraction("iou", options.iou);
  if (options.tile_overlap) check_fraction("tile_overlap", *options.tile_overlap, kMostOverlap);
  if (options.tile && (*options.tile < 0 || *options.tile > kLargestTile))
    throw Error(ErrorKind::kUsage,
                fmt::format("tile {}; wanted 0 to {} pixels", *options.tile, kLargestTile));
  if (options.max_detections < 1 || options.max_detections > kMostDetections)
    throw Error(ErrorKind::kUsage,
                fmt::format("max_detections {}; wanted 1 to {}", options.max_detections, kMostDetections));
  for (const int id : options.class_ids)
    if (id < 0 || static_cast<size_t>(id) >= classes)
      throw Error(ErrorKind::kUsage,
                  fmt::format("class id {}, but the model has {} classes (0..{})", id, classes, classes - 1));
}

}  // namespace

std::array<Point, 4> TurnedBox::corners() const {
  std::array<Point, 4> corners;
  std::ranges::transform(RotatedBox<ImagePixels>{cx, cy, width, height, angle}.corners(), corners.begin(),
                         [](const auto& corner) {
                           return Point{corner.x, corner.y};
                         });
  return corners;
}

namespace {

Mask public_mask(const MaskPart& part, Size size, const RatioPad& place) {
  return {.width = part.mask.size.width,
          .height = part.mask.size.height,
          .pixels = part.mask.pixels,
          .scale_x = place.ratio_x,
          .scale_y = place.ratio_y,
          .left = place.left - part.x,
          .top = place.top - part.y,
          .whole_width = size.width,
          .whole_height = size.height,
          .x = part.x,
          .y = part.y};
}

// Detection i of the result.
Detection public_detection(const predict::DetectionResult& result, size_t i,
                           std::span<const std::string> names) {
  const inside::LayerDetection& from = result.detections[i];
  const detect::DetectionExtras& extras = result.extras;
  Detection to = {.box = {from.box.x1, from.box.y1, from.box.x2, from.box.y2},
                  .confidence = from.confidence,
                  .class_id = from.class_id,
                  .label = detect::class_name(names, from.class_id)};
  if (!extras.masks.empty()) to.mask = public_mask(extras.masks[i], extras.mask_size, extras.mask_place);
  if (!extras.outlines.empty())
    for (const auto& [x, y] : extras.outlines[i]) to.outline.push_back({x, y});
  if (!extras.keypoints.empty())
    for (const auto& [x, y, visibility] : extras.keypoints[i])
      to.keypoints.push_back({x, y, extras.visibility ? visibility : 1});
  if (!extras.rotated.empty()) {
    const auto& [cx, cy, width, height, angle] = extras.rotated[i];
    to.turned = {cx, cy, width, height, angle};
  }
  return to;
}

}  // namespace

std::vector<std::uint8_t> Mask::whole() const {
  const auto row_bytes = static_cast<size_t>(width), whole_row = static_cast<size_t>(whole_width);
  std::vector<std::uint8_t> all(whole_row * static_cast<size_t>(whole_height), 0);
  for (size_t row = 0; row < static_cast<size_t>(height); ++row)
    std::copy_n(&pixels[row * row_bytes], row_bytes,
                &all[(static_cast<size_t>(y) + row) * whole_row + static_cast<size_t>(x)]);
  return all;
}

struct Detector::Impl {
  Impl(const Model::Impl& model, const inside::LayerDetectorOptions& options)
      : names(model.trained.model.names),
        reading(image_reading(model.trained.model.graph)),
        detector(model.trained.model.graph, model.trained.weights, options) {}

  std::vector<std::string> names;
  ImageReading reading;
  std::mutex turn;  // held while `detector` is used
  inside::LayerDetector detector;
};

Detector::Detector(const Model& model, const DetectorOptions& options) {
  impl_ = inside::guarded([&] {
    const Model::Impl& loaded = model.impl();
    const inside::LayerModel& network = loaded.trained.model;
    if (loaded.task == Task::kClassify)
      throw Error(ErrorKind::kUsage, loaded.file + ": a classifier, not a detector; wanted is Classifier");
    check_options(options, network.names.size());
    if (options.masks == MaskSize::kImage && loaded.task != Task::kSegment)
      throw Error(
          ErrorKind::kUsage,
          fmt::format("masks at the image's size: {} is a model for '{}', which finds no masks; wanted is "
                      "one for 'segment'",
                      loaded.file, network.task));
    inside::LayerDetectorOptions how;
    how.engine = inside::engine_options(options.engine);
    how.tiles = network.tiles;
    if (options.tile) how.tiles.side = *options.tile;
    if (options.tile_overlap) how.tiles.overlap = *options.tile_overlap;
    if (options.input_width != 0 || options.input_height != 0)
      how.size = inside::input_size(loaded.file, network, options.input_width, options.input_height);
    else if (how.tiles.side > 0 && how.tiles.side != network.tiles.side && network.fixed_height == 0)
      how.size = {how.tiles.side, how.tiles.side};
    else
      how.size = loaded.input;
    how.rect = options.rect && network.fixed_height == 0;
    if (options.confidence)
      how.nms.confidence = *options.confidence;
    else
      how.nms.class_confidence = network.thresholds;
    how.masks = mask_size(options.masks);
    how.outlines = options.outlines;
    how.nms.suppress = !options.end2end;
    how.nms.iou = options.iou;
    how.nms.max_detections = options.max_detections;
    how.nms.agnostic = options.agnostic;
    how.nms.classes = options.class_ids;
    return std::make_unique<Impl>(loaded, how);
  });
}

Detector::Detector(Detector&&) noexcept = default;
Detector& Detector::operator=(Detector&&) noexcept = default;
Detector::~Detector() = default;

const Detector::Impl& Detector::impl() const {
  return inside::checked(impl_, "Detector");
}

std::vector<Detection> Detector::detect(const ImageView& image) const {
  return inside::guarded([&] {
    impl();
    const inside::LayerImage pixels = inside::copy_view(image, impl_->reading);
    predict::DetectionResult result;
    {
      const std::lock_guard turn(impl_->turn);
      result = impl_->detector.detect(pixels);
    }
    std::vector<Detection> found;
    found.reserve(result.detections.size());
    for (size_t i = 0; i < result.detections.size(); ++i)
      found.push_back(public_detection(result, i, impl_->names));
    return found;
  });
}

std::vector<std::vector<Detection>> Detector::detect(std::span<const ImageView> images) const {
  return inside::for_each_image<std::vector<Detection>>(
      images, [&](const ImageView& image) { return detect(image); });
}

int Detector::input_width() const {
  return impl().detector.size().width;
}

int Detector::input_height() const {
  return impl().detector.size().height;
}

}  // namespace marrow::v0
