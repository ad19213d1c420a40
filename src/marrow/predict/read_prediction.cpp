#include "marrow/predict/read_prediction.h"

#include <fmt/core.h>

#include "marrow/base/error.h"
#include "marrow/detect/rotated_nms.h"

namespace marrow::predict {
namespace {

detect::PredictionColumn column_of(const ImagePrediction& image, int64_t anchor) {
  return {image.prediction, image.anchors, anchor};
}

ImageFindings turned_boxes(const ImagePrediction& image, const detect::NmsOptions& nms) {
  ImageFindings findings;
  for (const detect::RotatedDetection& found :
       detect::rotated_suppression(image.prediction, image.decode.classes, image.anchors, nms)) {
    const RotatedBox<ImagePixels> box = to_image(found.box, image.ratio_pad);
    findings.detections.push_back({box.bounds(), found.confidence, found.class_id, found.anchor});
    findings.extras.rotated.push_back(box);
  }
  return findings;
}

std::vector<Mask> masks_of(const ImagePrediction& image, std::span<const detect::InputDetection> detections,
                           MaskSize size) {
  std::vector<detect::MaskRequest> requests;
  for (const detect::InputDetection& found : detections)
    requests.push_back(
        {detect::numbers_of(column_of(image, found.anchor), 4 + image.decode.classes, image.prototypes.count),
         size == MaskSize::kInput ? found.box.corners()
                                  : to_image(found.box, image.ratio_pad, image.picture).corners()});
  return size == MaskSize::kInput ? detect::input_masks(image.prototypes, requests, image.network)
                                  : detect::image_masks(image.prototypes, requests, image.picture);
}

void check_mask_bytes(size_t masks, Size size, size_t most) {
  const size_t each = static_cast<size_t>(size.width) * static_cast<size_t>(size.height);
  if (masks > 0 && each > most / masks)
    throw Error(
        ErrorKind::kUnsupported,
        fmt::format("{} masks of {} x {} pixels take more than {} MiB; fewer detections, or masks at the "
                    "network's size, take less",
                    masks, size.width, size.height, most >> 20));
}

void add_masks(const ImagePrediction& image, std::vector<detect::InputDetection>& detections,
               const ReadOptions& options, detect::DetectionExtras& extras) {
  check_mask_bytes(detections.size(), options.masks == MaskSize::kInput ? image.network : image.picture,
                   options.most_mask_bytes);
  std::vector<Mask> masks = masks_of(image, detections, options.masks);
  size_t kept = 0;
  for (size_t i = 0; i < masks.size(); ++i) {
    MaskPart part = trimmed(masks[i]);
    if (part.is_empty()) continue;
    detections[kept++] = detections[i];
    extras.masks.push_back(std::move(part));
  }
  detections.resize(kept);
  extras.mask_size = image.picture;
  if (options.masks == MaskSize::kInput) {
    extras.mask_size = image.network;
    extras.mask_place = image.ratio_pad;
  }
  if (options.outlines) add_outlines(extras, image.picture);
}

}  // namespace

void add_outlines(detect::DetectionExtras& extras, Size picture) {
  for (const MaskPart& part : extras.masks) {
    std::vector<Point<void>> outline = detect::mask_outline(part.mask);
    for (Point<void>& point : outline)
      point = {point.x + static_cast<float>(part.x), point.y + static_cast<float>(part.y)};
    extras.outlines.push_back(detect::to_image(outline, extras.mask_place, picture));
  }
}

detect::Prototypes prototypes_of(const Tensor& maps) {
  return {maps.values().data(),
          static_cast<int>(maps.dim(1)),
          {static_cast<int>(maps.dim(3)), static_cast<int>(maps.dim(2))}};
}

ImageFindings read_prediction(const ImagePrediction& image, const ReadOptions& options) {
  const DetectDecode& decode = image.decode;
  if (decode.extra == DetectExtra::kAngle) return turned_boxes(image, options.nms);
  std::vector<detect::InputDetection> detections =
      detect::find_detections(image.prediction, decode.classes, image.anchors, options.nms);
  ImageFindings findings;
  if (decode.extra == DetectExtra::kCoefficients) add_masks(image, detections, options, findings.extras);
  if (const int numbers = numbers_of_point(decode.extra); numbers > 1) {
    findings.extras.visibility = numbers == 3;
    for (const detect::InputDetection& found : detections)
      findings.extras.keypoints.push_back(
          detect::to_image(detect::keypoints_of(column_of(image, found.anchor), 4 + decode.classes,
                                                decode.extra_channels, numbers),
                           image.ratio_pad, image.picture));
  }
  for (const detect::InputDetection& found : detections)
    findings.detections.push_back(
        detect::with_box(found, to_image(found.box, image.ratio_pad, image.picture)));
  return findings;
}

}  // namespace marrow::predict
