// The C API: what a program in any language meets.
#include <marrow/marrow.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <marrow/marrow.hpp>
#include <memory>
#include <thread>

#include "api/files.h"

namespace {

using marrow::testing::api_file;
using marrow::testing::bytes_of;

using Model = std::unique_ptr<marrow_model, decltype(&marrow_model_free)>;
using Detector = std::unique_ptr<marrow_detector, decltype(&marrow_detector_free)>;
using Image = std::unique_ptr<marrow_image, decltype(&marrow_image_free)>;

marrow_detector_options small_input() {
  marrow_detector_options options;
  marrow_detector_options_init(&options, sizeof options);
  options.threads = 2;
  options.tune = 0;
  options.input_width = 64;
  options.confidence = 0.01f;
  options.max_detections = 20;
  return options;
}

Model load(const std::string& name) {
  marrow_model* model = nullptr;
  EXPECT_EQ(marrow_model_load(api_file(name).c_str(), nullptr, &model), MARROW_OK) << marrow_last_error();
  return {model, marrow_model_free};
}

Detector make_detector(const marrow_detector_options& options,
                       const std::string& model = "detector.safetensors") {
  marrow_detector* detector = nullptr;
  EXPECT_EQ(marrow_detector_create(load(model).get(), &options, &detector), MARROW_OK) << marrow_last_error();
  return {detector, marrow_detector_free};
}

Image read(const std::string& name) {
  marrow_image* image = nullptr;
  EXPECT_EQ(marrow_image_read(api_file(name).c_str(), &image), MARROW_OK) << marrow_last_error();
  return {image, marrow_image_free};
}

marrow_image_view view_of(const Image& image) {
  marrow_image_view view = {};
  view.struct_size = sizeof view;
  EXPECT_EQ(marrow_image_get_view(image.get(), &view), MARROW_OK) << marrow_last_error();
  return view;
}

#define EXPECT_REFUSED(call, status, says)                                                            \
  do {                                                                                                \
    EXPECT_EQ((call), (status)) << marrow_last_error();                                               \
    EXPECT_NE(std::string(marrow_last_error()).find(says), std::string::npos) << marrow_last_error(); \
  } while (false)

TEST(CApi, ReadsImagesAsAModelWantsThem) {
  const Model model = load("bands.safetensors");
  marrow_image* image = nullptr;
  ASSERT_EQ(marrow_image_read_for(api_file("bands.tif").c_str(), model.get(), &image), MARROW_OK)
      << marrow_last_error();
  const Image bands = {image, marrow_image_free};
  const marrow_image_view view = view_of(bands);
  EXPECT_EQ(view.format, MARROW_OWN);
  EXPECT_EQ(view.stride, view.width * 8);
  EXPECT_REFUSED(marrow_image_read_for(api_file("a.jpg").c_str(), model.get(), &image),
                 MARROW_ERROR_UNSUPPORTED, "wanted 4");
  const Image plain = read("a.jpg");
  EXPECT_EQ(view_of(plain).format, MARROW_BGR);
  marrow_detections* found = nullptr;
  EXPECT_REFUSED(marrow_detect(make_detector(small_input()).get(), &view, 1, &found), MARROW_ERROR_USAGE,
                 "read for another model");
}

TEST(CApi, GivesWhatTheCppApiGives) {
  const Image a = read("a.jpg"), b = read("b.png");
  const marrow_image_view views[] = {view_of(a), view_of(b)};
  marrow_detections* found = nullptr;
  ASSERT_EQ(marrow_detect(make_detector(small_input()).get(), views, 2, &found), MARROW_OK)
      << marrow_last_error();

  const marrow::Detector detector(marrow::Model(api_file("detector.safetensors")),
                                  {.engine = {.threads = 2, .tune = false},
                                   .input_width = 64,
                                   .confidence = 0.01f,
                                   .max_detections = 20});
  for (const size_t image : {size_t{0}, size_t{1}}) {
    const auto expected = detector.detect(marrow::Image::read(api_file(image == 0 ? "a.jpg" : "b.png")));
    ASSERT_EQ(marrow_detections_count(found, image), expected.size());
    ASSERT_FALSE(expected.empty());
    for (size_t i = 0; i < expected.size(); ++i) {
      marrow_detection each = {};
      each.struct_size = sizeof each;
      ASSERT_EQ(marrow_detections_get(found, image, i, &each), MARROW_OK);
      EXPECT_EQ(each.x1, expected[i].box.x1);
      EXPECT_EQ(each.y1, expected[i].box.y1);
      EXPECT_EQ(each.x2, expected[i].box.x2);
      EXPECT_EQ(each.y2, expected[i].box.y2);
      EXPECT_EQ(each.confidence, expected[i].confidence);
      EXPECT_EQ(each.class_id, expected[i].class_id);
      EXPECT_EQ(each.label, expected[i].label);
    }
    marrow_detection none = {};
    none.struct_size = sizeof none;
    EXPECT_REFUSED(marrow_detections_get(found, image, expected.size(), &none), MARROW_ERROR_USAGE,
                   "no entry");
  }
  EXPECT_EQ(marrow_detections_count(found, 2), 0u);
  marrow_detections_free(found);
}

// In a batch whose second image has what is compared.
TEST(CApi, GivesWhatTheCppApiGivesOfEveryTask) {
  const Image a = read("a.jpg"), b = read("b.png");
  const marrow_image_view views[] = {view_of(a), view_of(b)};
  const std::pair<const char*, marrow_task> tasks[] = {{"segment.safetensors", MARROW_SEGMENT},
                                                       {"pose.safetensors", MARROW_POSE},
                                                       {"obb.safetensors", MARROW_OBB}};
  for (const auto& [name, task] : tasks) {
    SCOPED_TRACE(name);
    EXPECT_EQ(marrow_model_task(load(name).get()), task);
    marrow_detections* found = nullptr;
    ASSERT_EQ(marrow_detect(make_detector(small_input(), name).get(), views, 2, &found), MARROW_OK)
        << marrow_last_error();
    const marrow::Detector detector(marrow::Model(api_file(name)), {.engine = {.threads = 2, .tune = false},
                                                                    .input_width = 64,
                                                                    .confidence = 0.01f,
                                                                    .max_detections = 20});
    const auto expected = detector.detect(marrow::Image::read(api_file("b.png")));
    ASSERT_EQ(marrow_detections_count(found, 1), expected.size());
    ASSERT_FALSE(expected.empty());
    for (size_t i = 0; i < expected.size(); ++i) {
      marrow_detection each = {};
      each.struct_size = sizeof each;
      ASSERT_EQ(marrow_detections_get(found, 1, i, &each), MARROW_OK);
      const marrow::Mask& mask = expected[i].mask;
      ASSERT_EQ(each.mask == nullptr, mask.pixels.empty());
      EXPECT_EQ(each.mask_width, mask.width);
      EXPECT_EQ(each.mask_height, mask.height);
      EXPECT_TRUE(std::equal(mask.pixels.begin(), mask.pixels.end(), each.mask));
      EXPECT_EQ(each.mask_scale_x, mask.scale_x);
      EXPECT_EQ(each.mask_scale_y, mask.scale_y);
      EXPECT_EQ(each.mask_left, mask.left);
      EXPECT_EQ(each.mask_top, mask.top);
      EXPECT_EQ(each.mask_whole_width, mask.whole_width);
      EXPECT_EQ(each.mask_whole_height, mask.whole_height);
      EXPECT_EQ(each.mask_x, mask.x);
      EXPECT_EQ(each.mask_y, mask.y);
      ASSERT_EQ(each.outline_count, expected[i].outline.size());
      for (size_t k = 0; k < each.outline_count; ++k) {
        EXPECT_EQ(each.outline[k].x, expected[i].outline[k].x);
        EXPECT_EQ(each.outline[k].y, expected[i].outline[k].y);
      }
      ASSERT_EQ(each.keypoint_count, expected[i].keypoints.size());
      for (size_t k = 0; k < each.keypoint_count; ++k) {
        EXPECT_EQ(each.keypoints[k].x, expected[i].keypoints[k].x);
        EXPECT_EQ(each.keypoints[k].y, expected[i].keypoints[k].y);
        EXPECT_EQ(each.keypoints[k].visibility, expected[i].keypoints[k].visibility);
      }
      ASSERT_EQ(each.turned != 0, expected[i].turned.has_value());
      if (each.turned == 0) continue;
      EXPECT_EQ(each.cx, expected[i].turned->cx);
      EXPECT_EQ(each.cy, expected[i].turned->cy);
      EXPECT_EQ(each.width, expected[i].turned->width);
      EXPECT_EQ(each.height, expected[i].turned->height);
      EXPECT_EQ(each.angle, expected[i].turned->angle);
      for (size_t k = 0; k < 4; ++k) {
        EXPECT_EQ(each.corners[k].x, expected[i].turned->corners()[k].x);
        EXPECT_EQ(each.corners[k].y, expected[i].turned->corners()[k].y);
      }
    }
    marrow_detections_free(found);
  }
}

TEST(CApi, Classifies) {
  const Model model = load("classifier.safetensors");
  EXPECT_EQ(marrow_model_task(model.get()), MARROW_CLASSIFY);
  marrow_classifier_options options;
  marrow_classifier_options_init(&options, sizeof options);
  options.tune = 0;
  options.input_size = 64;
  marrow_classifier* classifier = nullptr;
  ASSERT_EQ(marrow_classifier_create(model.get(), &options, &classifier), MARROW_OK) << marrow_last_error();
  int pixels = 0;
  EXPECT_EQ(marrow_classifier_input_size(classifier, &pixels), MARROW_OK);
  EXPECT_EQ(pixels, 64);
  const Image image = read("a.jpg");
  const marrow_image_view view = view_of(image);
  marrow_classes* classes = nullptr;
  ASSERT_EQ(marrow_classify(classifier, &view, 1, 3, &classes), MARROW_OK) << marrow_last_error();
  EXPECT_EQ(marrow_classes_count(classes, 0), 3u);
  const auto expected = marrow::Classifier(marrow::Model(api_file("classifier.safetensors")),
                                           {.engine = {.tune = false}, .input_size = 64})
                            .classify(marrow::Image::read(api_file("a.jpg")));
  marrow_class_probability first = {};
  first.struct_size = sizeof first;
  ASSERT_EQ(marrow_classes_get(classes, 0, 0, &first), MARROW_OK);
  EXPECT_EQ(first.class_id, expected[0].class_id);
  EXPECT_EQ(first.label, expected[0].label);
  EXPECT_EQ(first.probability, expected[0].probability);
  EXPECT_REFUSED(marrow_classes_get(classes, 0, 3, &first), MARROW_ERROR_USAGE, "no entry 3");
  marrow_classes_free(classes);
  marrow_classifier_free(classifier);
}

TEST(CApi, SaysWhatAModelIs) {
  const Model model = load("detector.safetensors");
  EXPECT_EQ(marrow_model_task(model.get()), MARROW_DETECT);
  EXPECT_EQ(marrow_model_class_count(model.get()), 3u);
  EXPECT_STREQ(marrow_model_class_name(model.get(), 1), "green/disc");
  EXPECT_EQ(marrow_model_class_name(model.get(), 3), nullptr);
  EXPECT_EQ(marrow_model_warning_count(model.get()), 0u);
  EXPECT_EQ(marrow_model_warning(model.get(), 0), nullptr);
  int width = 0, height = 0;
  EXPECT_EQ(marrow_model_input_size(model.get(), &width, &height), MARROW_OK);
  EXPECT_EQ(width, 640);
  EXPECT_EQ(height, 640);
  EXPECT_STREQ(marrow_version(), MARROW_VERSION);
}

TEST(CApi, TheDefaultsAreThoseOfTheCppApi) {
  marrow_detector_options options;
  marrow_detector_options_init(&options, sizeof options);
  const marrow::DetectorOptions cpp;
  EXPECT_EQ(options.struct_size, sizeof options);
  EXPECT_EQ(options.threads, cpp.engine.threads);
  EXPECT_EQ(options.tune != 0, cpp.engine.tune);
  EXPECT_EQ(options.rect != 0, cpp.rect);
  EXPECT_EQ(options.confidence, -1);
  EXPECT_FALSE(cpp.confidence.has_value());
  EXPECT_EQ(options.end2end != 0, cpp.end2end);
  EXPECT_EQ(options.tile, -1);
  EXPECT_EQ(options.tile_overlap, -1);
  EXPECT_FALSE(cpp.tile.has_value() || cpp.tile_overlap.has_value());
  EXPECT_EQ(options.iou, cpp.iou);
  EXPECT_EQ(options.max_detections, cpp.max_detections);
  EXPECT_EQ(options.class_ids, nullptr);
  EXPECT_EQ(options.masks, MARROW_MASK_INPUT);
  EXPECT_EQ(cpp.masks, marrow::MaskSize::kInput);
  EXPECT_EQ(options.outlines != 0, cpp.outlines);
}

TEST(CApi, StructsMayBeOlderAndNewer) {
  // An older program's options end before `confidence`: it keeps its default, whatever lies there.
  marrow_detector_options old = small_input();
  old.struct_size = offsetof(marrow_detector_options, confidence);
  old.confidence = std::numeric_limits<float>::quiet_NaN();
  old.max_detections = -5;
  EXPECT_NE(make_detector(old), nullptr);

  struct Newer {
    marrow_detector_options options;
    int more;
  } newer;
  marrow_detector_options_init(&newer.options, sizeof newer);
  EXPECT_EQ(newer.more, 0);
  EXPECT_NE(make_detector(newer.options), nullptr);
  newer.more = 1;
  marrow_detector* detector = nullptr;
  EXPECT_REFUSED(marrow_detector_create(load("detector.safetensors").get(), &newer.options, &detector),
                 MARROW_ERROR_USAGE, "does not know");
  EXPECT_EQ(detector, nullptr);

  // Results: as much as fits, and not a byte more.
  const Image image = read("a.jpg");
  marrow_image_view view = view_of(image);
  marrow_detections* found = nullptr;
  ASSERT_EQ(marrow_detect(make_detector(small_input()).get(), &view, 1, &found), MARROW_OK);
  marrow_detection shorter = {};
  shorter.struct_size = offsetof(marrow_detection, confidence);
  shorter.confidence = 42;
  EXPECT_EQ(marrow_detections_get(found, 0, 0, &shorter), MARROW_OK);
  EXPECT_GT(shorter.x2, 0);
  EXPECT_EQ(shorter.confidence, 42);
  EXPECT_EQ(shorter.struct_size, offsetof(marrow_detection, confidence));
  marrow_detections_free(found);

  for (const size_t size : {size_t{0}, size_t{1}, sizeof(size_t), std::numeric_limits<size_t>::max()}) {
    view.struct_size = size;
    EXPECT_REFUSED(marrow_detect(make_detector(small_input()).get(), &view, 1, &found), MARROW_ERROR_USAGE,
                   "struct_size");
    EXPECT_EQ(found, nullptr);
  }
  marrow_image_view two[] = {view_of(image), view_of(image)};
  two[1].struct_size += 8;
  EXPECT_REFUSED(marrow_detect(make_detector(small_input()).get(), two, 2, &found), MARROW_ERROR_USAGE,
                 "differ in struct_size");
}

TEST(CApi, NullPointersAreErrors) {
  const Model model = load("detector.safetensors");
  const Detector detector = make_detector(small_input());
  const Image image = read("a.jpg");
  const marrow_image_view view = view_of(image);
  marrow_image* new_image = nullptr;
  marrow_model* new_model = nullptr;
  marrow_detector* new_detector = nullptr;
  marrow_classifier* new_classifier = nullptr;
  marrow_detections* found = nullptr;
  marrow_classes* classes = nullptr;
  marrow_image_view to = {};
  to.struct_size = sizeof to;
  int number = 0;
  const marrow_status statuses[] = {
      marrow_image_read(nullptr, &new_image),
      marrow_image_read(api_file("a.jpg").c_str(), nullptr),
      marrow_image_decode(nullptr, 10, &new_image),
      marrow_image_decode("x", 1, nullptr),
      marrow_image_read_for(nullptr, model.get(), &new_image),
      marrow_image_read_for(api_file("a.jpg").c_str(), nullptr, &new_image),
      marrow_image_decode_for("x", 1, nullptr, &new_image),
      marrow_image_get_view(nullptr, &to),
      marrow_image_get_view(image.get(), nullptr),
      marrow_model_load(nullptr, nullptr, &new_model),
      marrow_model_load(api_file("detector.safetensors").c_str(), nullptr, nullptr),
      marrow_model_input_size(nullptr, &number, &number),
      marrow_model_input_size(model.get(), nullptr, &number),
      marrow_model_input_size(model.get(), &number, nullptr),
      marrow_detector_create(nullptr, nullptr, &new_detector),
      marrow_detector_create(model.get(), nullptr, nullptr),
      marrow_detector_input_size(nullptr, &number, &number),
      marrow_detector_input_size(detector.get(), nullptr, &number),
      marrow_detect(nullptr, &view, 1, &found),
      marrow_detect(detector.get(), nullptr, 1, &found),
      marrow_detect(detector.get(), &view, 1, nullptr),
      marrow_detections_get(nullptr, 0, 0, nullptr),
      marrow_classifier_create(nullptr, nullptr, &new_classifier),
      marrow_classifier_create(model.get(), nullptr, nullptr),
      marrow_classifier_input_size(nullptr, &number),
      marrow_classify(nullptr, &view, 1, 5, &classes),
      marrow_classes_get(nullptr, 0, 0, nullptr),
  };
  for (size_t i = 0; i < std::size(statuses); ++i) EXPECT_EQ(statuses[i], MARROW_ERROR_USAGE) << i;
  EXPECT_EQ(new_image, nullptr);
  EXPECT_EQ(found, nullptr);
  marrow_image_free(nullptr);
  marrow_model_free(nullptr);
  marrow_detector_free(nullptr);
  marrow_detections_free(nullptr);
  marrow_classifier_free(nullptr);
  marrow_classes_free(nullptr);
  marrow_detector_options_init(nullptr, 8);
  EXPECT_EQ(marrow_model_class_count(nullptr), 0u);
  EXPECT_EQ(marrow_model_class_name(nullptr, 0), nullptr);
  EXPECT_EQ(marrow_model_task(nullptr), 0);
  EXPECT_STREQ(marrow_image_warning(nullptr), "");
  EXPECT_EQ(marrow_detections_count(nullptr, 0), 0u);
}

TEST(CApi, ErrorsHaveAKindAndAMessage) {
  marrow_model* model = nullptr;
  EXPECT_REFUSED(marrow_model_load("no/such.pt", nullptr, &model), MARROW_ERROR_FILE, "no/such.pt");
  EXPECT_REFUSED(marrow_model_load(api_file("a.jpg").c_str(), nullptr, &model), MARROW_ERROR_FORMAT, "a.jpg");
  marrow_image* image = nullptr;
  EXPECT_REFUSED(marrow_image_decode("GIF89a", 6, &image), MARROW_ERROR_UNSUPPORTED, "GIF");
  marrow_classifier* classifier = nullptr;
  EXPECT_REFUSED(marrow_classifier_create(load("detector.safetensors").get(), nullptr, &classifier),
                 MARROW_ERROR_USAGE, "a model for 'detect', not a classifier");
  marrow_load_options options = {};
  options.struct_size = sizeof options;
  options.as = "yolov8s";
  EXPECT_REFUSED(marrow_model_load(api_file("detector.safetensors").c_str(), &options, &model),
                 MARROW_ERROR_USAGE, "a Marrow checkpoint");

  // A thread's error is its own.
  std::thread([&] {
    EXPECT_STREQ(marrow_last_error(), "");
    marrow_image* none = nullptr;
    EXPECT_REFUSED(marrow_image_read("of/another.jpg", &none), MARROW_ERROR_FILE, "of/another.jpg");
  }).join();
  EXPECT_NE(std::string(marrow_last_error()).find("a Marrow checkpoint"), std::string::npos);

  const std::string longest(100'000, 'x');
  EXPECT_NE(marrow_image_read(longest.c_str(), &image), MARROW_OK);
  EXPECT_LE(std::strlen(marrow_last_error()), 4095u);
}

}  // namespace
