// The C API, over nothing but the C++ API.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "marrow/marrow.h"
#include "marrow/marrow.hpp"

namespace cpp = marrow::v0;

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

struct marrow_detections {
  std::vector<std::vector<cpp::Detection>> images;
};

struct marrow_classes {
  std::vector<std::vector<cpp::ClassProbability>> images;
};

namespace {

constexpr size_t kLongestMessage = 4095;
thread_local char last_error[kLongestMessage + 1] = "";

marrow_status failed(marrow_status status, const char* message) noexcept {
  const size_t length = std::min(std::strlen(message), kLongestMessage);
  std::memcpy(last_error, message, length);
  last_error[length] = '\0';
  return status;
}

// function(), with what it throws as a status.
template <class Function>
marrow_status guarded(const Function& function) noexcept {
  try {
    function();
    return MARROW_OK;
  } catch (const cpp::Error& error) {
    return failed(static_cast<marrow_status>(error.kind()), error.what());
  } catch (const std::bad_alloc&) {
    return failed(MARROW_ERROR_MEMORY, "out of memory");
  } catch (const std::exception& error) {
    return failed(MARROW_ERROR_OTHER, error.what());
  } catch (...) {
    return failed(MARROW_ERROR_OTHER, "an unknown failure");
  }
}
static_assert(static_cast<int>(cpp::ErrorKind::kUsage) == MARROW_ERROR_USAGE &&
              static_cast<int>(cpp::ErrorKind::kFile) == MARROW_ERROR_FILE &&
              static_cast<int>(cpp::ErrorKind::kFormat) == MARROW_ERROR_FORMAT &&
              static_cast<int>(cpp::ErrorKind::kModel) == MARROW_ERROR_MODEL &&
              static_cast<int>(cpp::ErrorKind::kUnsupported) == MARROW_ERROR_UNSUPPORTED &&
              static_cast<int>(cpp::ErrorKind::kOther) == MARROW_ERROR_OTHER);
static_assert(static_cast<int>(cpp::PixelFormat::kRgb) == MARROW_RGB &&
              static_cast<int>(cpp::PixelFormat::kBgr) == MARROW_BGR &&
              static_cast<int>(cpp::PixelFormat::kGray) == MARROW_GRAY);
static_assert(static_cast<int>(cpp::Precision::kFloat32) == MARROW_FLOAT32 &&
              static_cast<int>(cpp::Precision::kBfloat16) == MARROW_BFLOAT16 &&
              static_cast<int>(cpp::Precision::kInt8) == MARROW_INT8);

[[noreturn]] void misuse(const std::string& what) {
  throw cpp::Error(cpp::ErrorKind::kUsage, what);
}

template <class T>
T& needed(T* pointer, const char* name) {
  if (pointer == nullptr) misuse(std::string(name) + " is a null pointer");
  return *pointer;
}

// *out = a new T of what make() gives; null until then.
template <class T, class Make>
marrow_status create(T** out, const char* name, const Make& make) noexcept {
  return guarded([&] {
    needed(out, name) = nullptr;
    *out = new T{make()};
  });
}

// --- Structs that may be shorter or longer than this library's

// A struct whose size is less than that of one with no member but the size, or more than any version can
// have, was never set.
constexpr size_t kLargestStruct = 1 << 16;

template <class Struct>
void check_struct_size(size_t size, const char* name) {
  if (size <= sizeof(size_t) || size > kLargestStruct)
    misuse(
        fmt::format("{0}: struct_size is {1}; wanted is sizeof({0}), {2} here", name, size, sizeof(Struct)));
}

// `given` on top of `defaults`.
template <class Struct>
Struct read_struct(const void* given, const char* name, Struct defaults) {
  size_t size = 0;
  std::memcpy(&size, given, sizeof size);
  check_struct_size<Struct>(size, name);
  const auto* bytes = static_cast<const unsigned char*>(given);
  for (size_t i = sizeof(Struct); i < size; ++i)
    if (bytes[i] != 0)
      misuse(fmt::format("{}: a member is set that libmarrow {} does not know", name, MARROW_VERSION));
  std::memcpy(&defaults, given, std::min(size, sizeof(Struct)));
  return defaults;
}

// As much of `value` as the caller's struct takes; what it has more becomes 0.
template <class Struct>
void write_struct(const Struct& value, Struct* to, const char* name) {
  size_t size = 0;
  std::memcpy(&size, to, sizeof size);
  check_struct_size<Struct>(size, name);
  std::memset(static_cast<void*>(to), 0, size);
  std::memcpy(static_cast<void*>(to), &value, std::min(size, sizeof(Struct)));
  std::memcpy(static_cast<void*>(to), &size, sizeof size);
}

template <class Struct>
void init_struct(const Struct& defaults, Struct* to, size_t size) noexcept {
  if (to == nullptr || size < sizeof(size_t) || size > kLargestStruct) return;
  std::memcpy(static_cast<void*>(to), &size, sizeof size);
  (void)guarded([&] { write_struct(defaults, to, "options"); });
}

constexpr int kOwn = -1;  // of a number: the model's

marrow_detector_options detector_defaults() {
  const cpp::DetectorOptions from;
  marrow_detector_options to{};
  to.threads = from.engine.threads;
  to.precision = static_cast<int>(from.engine.precision);
  to.tune = from.engine.tune;
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
  return to;
}

marrow_classifier_options classifier_defaults() {
  const cpp::ClassifierOptions from;
  marrow_classifier_options to{};
  to.threads = from.engine.threads;
  to.precision = static_cast<int>(from.engine.precision);
  to.tune = from.engine.tune;
  to.input_size = from.input_size;
  return to;
}

// Of detectors and of classifiers.
template <class Struct>
cpp::EngineOptions engine_options(const Struct& from) {
  return {from.threads, static_cast<cpp::Precision>(from.precision), from.tune != 0};
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
  return model->model.task() == cpp::Task::kDetect ? MARROW_DETECT : MARROW_CLASSIFY;
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
    return by.detect(std::span<const cpp::ImageView>(image_views(images, count)));
  });
}

size_t marrow_detections_count(const marrow_detections* detections, size_t image) {
  return detections != nullptr ? count_of(detections->images, image) : 0;
}

marrow_status marrow_detections_get(const marrow_detections* detections, size_t image, size_t index,
                                    marrow_detection* detection) {
  return guarded([&] {
    const cpp::Detection& from = needed_entry(needed(detections, "detections").images, image, index);
    marrow_detection to{};
    to.x1 = from.box.x1;
    to.y1 = from.box.y1;
    to.x2 = from.box.x2;
    to.y2 = from.box.y2;
    to.confidence = from.confidence;
    to.class_id = from.class_id;
    to.label = from.label.c_str();
    write_struct(to, &needed(detection, "detection"), "marrow_detection");
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
