#include "marrow/api/c_options.h"

#include "marrow/api/c_inside.h"

namespace marrow::v0::in_c {
namespace {

static_assert(static_cast<int>(cpp::Precision::kFloat32) == MARROW_FLOAT32 &&
              static_cast<int>(cpp::Precision::kBfloat16) == MARROW_BFLOAT16 &&
              static_cast<int>(cpp::Precision::kInt8) == MARROW_INT8);
static_assert(static_cast<int>(cpp::MaskSize::kInput) == MARROW_MASK_INPUT &&
              static_cast<int>(cpp::MaskSize::kImage) == MARROW_MASK_IMAGE);

constexpr int kOwn = -1;  // of a number: the model's

// Of detectors and of classifiers.
template <class Struct>
cpp::EngineOptions engine_options(const Struct& from) {
  return {from.threads, static_cast<cpp::Precision>(from.precision), from.tune != 0};
}
template <class Struct>
void set_engine(Struct& to, const cpp::EngineOptions& from) {
  to.threads = from.threads;
  to.precision = static_cast<int>(from.precision);
  to.tune = from.tune;
}

}  // namespace

marrow_detector_options detector_defaults() {
  const cpp::DetectorOptions from;
  marrow_detector_options to{};
  set_engine(to, from.engine);
  to.input_width = from.input_width;
  to.input_height = from.input_height;
  to.rect = from.rect;
  to.confidence = kOwn;
  to.iou = from.iou;
  to.max_detections = from.max_detections;
  to.agnostic = from.agnostic;
  to.end2end = from.end2end;
  to.tile = kOwn;
  to.tile_overlap = kOwn;
  to.masks = static_cast<int>(from.masks);
  to.outlines = from.outlines;
  return to;
}

marrow_classifier_options classifier_defaults() {
  const cpp::ClassifierOptions from;
  marrow_classifier_options to{};
  set_engine(to, from.engine);
  to.input_size = from.input_size;
  return to;
}

cpp::DetectorOptions detector_options(const marrow_detector_options* given) {
  if (given == nullptr) return {};
  const auto from = read_struct(given, "marrow_detector_options", detector_defaults());
  cpp::DetectorOptions to;
  to.engine = engine_options(from);
  to.input_width = from.input_width;
  to.input_height = from.input_height;
  to.rect = from.rect != 0;
  if (from.confidence != kOwn) to.confidence = from.confidence;
  to.iou = from.iou;
  to.max_detections = from.max_detections;
  to.agnostic = from.agnostic != 0;
  to.end2end = from.end2end != 0;
  if (from.tile != kOwn) to.tile = from.tile;
  if (from.tile_overlap != kOwn) to.tile_overlap = from.tile_overlap;
  to.masks = static_cast<cpp::MaskSize>(from.masks);
  to.outlines = from.outlines != 0;
  if (from.class_ids != nullptr)
    to.class_ids.assign(from.class_ids, from.class_ids + from.class_id_count);
  else if (from.class_id_count > 0)
    misuse("class_ids is a null pointer");
  return to;
}

cpp::ClassifierOptions classifier_options(const marrow_classifier_options* given) {
  if (given == nullptr) return {};
  const auto from = read_struct(given, "marrow_classifier_options", classifier_defaults());
  return {engine_options(from), from.input_size};
}

cpp::LoadOptions load_options(const marrow_load_options* given) {
  if (given == nullptr) return {};
  const auto from = read_struct(given, "marrow_load_options", marrow_load_options{});
  return {from.as != nullptr ? from.as : "", from.weights_source != nullptr ? from.weights_source : ""};
}

}  // namespace marrow::v0::in_c
