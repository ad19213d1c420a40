// The C API, over nothing but the C++ API.
#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "marrow/api/c_inside.h"
#include "marrow/api/c_options.h"

namespace cpp = marrow::v0;
using namespace marrow::v0::in_c;

struct marrow_image {
  cpp::Image image;
};

struct marrow_model {
  cpp::Model model;
};

struct marrow_detector {
  cpp::Detector detector;
};

struct marrow_classifier {
  cpp::Classifier classifier;
};

// With its lists as C has them.
struct marrow_found {
  cpp::Detection detection;
  std::vector<marrow_point> outline;
  std::vector<marrow_keypoint> keypoints;
};

struct marrow_detections {
  std::vector<std::vector<marrow_found>> images;
};

struct marrow_classes {
  std::vector<std::vector<cpp::ClassProbability>> images;
};

namespace {

static_assert(static_cast<int>(cpp::ErrorKind::kUsage) == MARROW_ERROR_USAGE &&
              static_cast<int>(cpp::ErrorKind::kFile) == MARROW_ERROR_FILE &&
              static_cast<int>(cpp::ErrorKind::kFormat) == MARROW_ERROR_FORMAT &&
              static_cast<int>(cpp::ErrorKind::kModel) == MARROW_ERROR_MODEL &&
              static_cast<int>(cpp::ErrorKind::kUnsupported) == MARROW_ERROR_UNSUPPORTED &&
              static_cast<int>(cpp::ErrorKind::kOther) == MARROW_ERROR_OTHER);
static_assert(static_cast<int>(cpp::PixelFormat::kRgb) == MARROW_RGB &&
              static_cast<int>(cpp::PixelFormat::kBgr) == MARROW_BGR &&
              static_cast<int>(cpp::PixelFormat::kGray) == MARROW_GRAY);

std::vector<cpp::ImageView> image_views(const marrow_image_view* images, size_t count) {
  std::vector<cpp::ImageView> views;
  if (count == 0) return views;
  const size_t size = needed(images, "images").struct_size;
  const auto* bytes = reinterpret_cast<const unsigned char*>(images);
  for (size_t i = 0; i < count; ++i, bytes += size) {
    size_t own = 0;
    std::memcpy(&own, bytes, sizeof own);
    if (own != size)
      misuse("the views of a batch differ in struct_size: " + std::to_string(size) + " and " +
             std::to_string(own));
    const auto view = read_struct(bytes, "marrow_image_view", marrow_image_view{});
    views.push_back(
        {view.data, view.width, view.height, view.stride, static_cast<cpp::PixelFormat>(view.format)});
  }
  return views;
}

// The entry of a batch's results, or null.
template <class T>
const T* entry(const std::vector<std::vector<T>>& images, size_t image, size_t index) {
  return image < images.size() && index < images[image].size() ? &images[image][index] : nullptr;
}

template <class T>
const T& needed_entry(const std::vector<std::vector<T>>& images, size_t image, size_t index) {
  if (const T* found = entry(images, image, index)) return *found;
  misuse("there is no entry " + std::to_string(index) + " of image " + std::to_string(image));
}

template <class T>
size_t count_of(const std::vector<std::vector<T>>& images, size_t image) {
  return image < images.size() ? images[image].size() : 0;
}

std::vector<std::vector<marrow_found>> in_c(std::vector<std::vector<cpp::Detection>> images) {
  std::vector<std::vector<marrow_found>> result;
  for (std::vector<cpp::Detection>& image : images)
    for (result.emplace_back(); cpp::Detection & from : image) {
      marrow_found to;
      for (const auto& [x, y] : from.outline) to.outline.push_back({x, y});
      for (const auto& [x, y, visibility] : from.keypoints) to.keypoints.push_back({x, y, visibility});
      to.detection = std::move(from);
      result.back().push_back(std::move(to));
    }
  return result;
}

template <class T>
const T* list_or_null(const std::vector<T>& list) {
  return list.empty() ? nullptr : list.data();
}

marrow_detection detection_struct(const marrow_found& found) {
  const auto& [box, confidence, class_id, label, mask, outline, keypoints, turned] = found.detection;
  marrow_detection to{};
  to.x1 = box.x1;
  to.y1 = box.y1;
  to.x2 = box.x2;
  to.y2 = box.y2;
  to.confidence = confidence;
  to.class_id = class_id;
  to.label = label.c_str();
  to.mask = list_or_null(mask.pixels);
  to.mask_width = mask.width;
  to.mask_height = mask.height;
  to.mask_scale_x = mask.scale_x;
  to.mask_scale_y = mask.scale_y;
  to.mask_left = mask.left;
  to.mask_top = mask.top;
  to.mask_whole_width = mask.whole_width;
  to.mask_whole_height = mask.whole_height;
  to.mask_x = mask.x;
  to.mask_y = mask.y;
  to.outline = list_or_null(found.outline);
  to.outline_count = found.outline.size();
  to.keypoints = list_or_null(found.keypoints);
  to.keypoint_count = found.keypoints.size();
  if (!turned) return to;
  to.turned = 1;
  to.cx = turned->cx;
  to.cy = turned->cy;
  to.width = turned->width;
  to.height = turned->height;
  to.angle = turned->angle;
  std::ranges::transform(turned->corners(), to.corners, [](const cpp::Point& corner) {
    return marrow_point{corner.x, corner.y};
  });
  return to;
}

const char* text_at(const std::vector<std::string>& texts, size_t index) {
  return index < texts.size() ? texts[index].c_str() : nullptr;
}

}  // namespace

const char* marrow_version(void) {
  return cpp::version();
}

const char* marrow_last_error(void) {
  return last_error;
}

marrow_status marrow_image_read(const char* path, marrow_image** image) {
  return create(image, "image", [&] { return cpp::Image::read(&needed(path, "path")); });
}

marrow_status marrow_image_decode(const void* bytes, size_t size, marrow_image** image) {
  return create(image, "image", [&] {
    return cpp::Image::decode({static_cast<const std::byte*>(bytes), size});
  });
}

marrow_status marrow_image_read_for(const char* path, const marrow_model* model, marrow_image** image) {
  return create(image, "image",
                [&] { return cpp::Image::read(&needed(path, "path"), needed(model, "model").model); });
}

marrow_status marrow_image_decode_for(const void* bytes, size_t size, const marrow_model* model,
                                      marrow_image** image) {
  return create(image, "image", [&] {
    return cpp::Image::decode({static_cast<const std::byte*>(bytes), size}, needed(model, "model").model);
  });
}

marrow_status marrow_image_get_view(const marrow_image* image, marrow_image_view* view) {
  return guarded([&] {
    const cpp::ImageView from = needed(image, "image").image.view();
    marrow_image_view to{};
    to.data = from.data;
    to.width = from.width;
    to.height = from.height;
    to.stride = from.stride;
    to.format = static_cast<int>(from.format);
    write_struct(to, &needed(view, "view"), "marrow_image_view");
  });
}

const char* marrow_image_warning(const marrow_image* image) {
  return image != nullptr ? image->image.warning().c_str() : "";
}

void marrow_image_free(marrow_image* image) {
  delete image;
}

marrow_status marrow_model_load(const char* path, const marrow_load_options* options, marrow_model** model) {
  return create(model, "model", [&] { return cpp::Model(&needed(path, "path"), load_options(options)); });
}

marrow_task marrow_model_task(const marrow_model* model) {
  if (model == nullptr) return marrow_task{};
  switch (model->model.task()) {
    case cpp::Task::kDetect:
      return MARROW_DETECT;
    case cpp::Task::kClassify:
      return MARROW_CLASSIFY;
    case cpp::Task::kSegment:
      return MARROW_SEGMENT;
    case cpp::Task::kPose:
      return MARROW_POSE;
    case cpp::Task::kObb:
      return MARROW_OBB;
  }
  return marrow_task{};
}

size_t marrow_model_class_count(const marrow_model* model) {
  return model != nullptr ? model->model.class_names().size() : 0;
}

const char* marrow_model_class_name(const marrow_model* model, size_t class_id) {
  return model != nullptr ? text_at(model->model.class_names(), class_id) : nullptr;
}

marrow_status marrow_model_input_size(const marrow_model* model, int* width, int* height) {
  return guarded([&] {
    const cpp::Model& of = needed(model, "model").model;
    needed(width, "width") = of.input_width();
    needed(height, "height") = of.input_height();
  });
}

size_t marrow_model_warning_count(const marrow_model* model) {
  return model != nullptr ? model->model.warnings().size() : 0;
}

const char* marrow_model_warning(const marrow_model* model, size_t index) {
  return model != nullptr ? text_at(model->model.warnings(), index) : nullptr;
}

void marrow_model_free(marrow_model* model) {
  delete model;
}

void marrow_detector_options_init(marrow_detector_options* options, size_t struct_size) {
  init_struct(detector_defaults(), options, struct_size);
}

marrow_status marrow_detector_create(const marrow_model* model, const marrow_detector_options* options,
                                     marrow_detector** detector) {
  return create(detector, "detector",
                [&] { return cpp::Detector(needed(model, "model").model, detector_options(options)); });
}

marrow_status marrow_detector_input_size(const marrow_detector* detector, int* width, int* height) {
  return guarded([&] {
    const cpp::Detector& of = needed(detector, "detector").detector;
    needed(width, "width") = of.input_width();
    needed(height, "height") = of.input_height();
  });
}

void marrow_detector_free(marrow_detector* detector) {
  delete detector;
}

marrow_status marrow_detect(const marrow_detector* detector, const marrow_image_view* images, size_t count,
                            marrow_detections** detections) {
  return create(detections, "detections", [&] {
    const cpp::Detector& by = needed(detector, "detector").detector;
    return in_c(by.detect(std::span<const cpp::ImageView>(image_views(images, count))));
  });
}

size_t marrow_detections_count(const marrow_detections* detections, size_t image) {
  return detections != nullptr ? count_of(detections->images, image) : 0;
}

marrow_status marrow_detections_get(const marrow_detections* detections, size_t image, size_t index,
                                    marrow_detection* detection) {
  return guarded([&] {
    const marrow_found& from = needed_entry(needed(detections, "detections").images, image, index);
    write_struct(detection_struct(from), &needed(detection, "detection"), "marrow_detection");
  });
}

void marrow_detections_free(marrow_detections* detections) {
  delete detections;
}

void marrow_classifier_options_init(marrow_classifier_options* options, size_t struct_size) {
  init_struct(classifier_defaults(), options, struct_size);
}

marrow_status marrow_classifier_create(const marrow_model* model, const marrow_classifier_options* options,
                                       marrow_classifier** classifier) {
  return create(classifier, "classifier",
                [&] { return cpp::Classifier(needed(model, "model").model, classifier_options(options)); });
}

marrow_status marrow_classifier_input_size(const marrow_classifier* classifier, int* pixels) {
  return guarded(
      [&] { needed(pixels, "pixels") = needed(classifier, "classifier").classifier.input_size(); });
}

void marrow_classifier_free(marrow_classifier* classifier) {
  delete classifier;
}

marrow_status marrow_classify(const marrow_classifier* classifier, const marrow_image_view* images,
                              size_t count, int top, marrow_classes** classes) {
  return create(classes, "classes", [&] {
    const cpp::Classifier& by = needed(classifier, "classifier").classifier;
    return by.classify(std::span<const cpp::ImageView>(image_views(images, count)), top);
  });
}

size_t marrow_classes_count(const marrow_classes* classes, size_t image) {
  return classes != nullptr ? count_of(classes->images, image) : 0;
}

marrow_status marrow_classes_get(const marrow_classes* classes, size_t image, size_t index,
                                 marrow_class_probability* probability) {
  return guarded([&] {
    const cpp::ClassProbability& from = needed_entry(needed(classes, "classes").images, image, index);
    marrow_class_probability to{};
    to.class_id = from.class_id;
    to.probability = from.probability;
    to.label = from.label.c_str();
    write_struct(to, &needed(probability, "probability"), "marrow_class_probability");
  });
}

void marrow_classes_free(marrow_classes* classes) {
  delete classes;
}
