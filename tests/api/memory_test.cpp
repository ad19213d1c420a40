// Running out of memory anywhere in a call is a status, and what was passed can be used further.
#include <marrow/marrow.h>

#include <cstdlib>
#include <new>

#include "api/files.h"

namespace {

thread_local long allocations_left = -1;  // before one fails; negative: none does

void* allocate(size_t size) {
  if (allocations_left == 0) throw std::bad_alloc();
  if (allocations_left > 0) --allocations_left;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}

}  // namespace

// Of the whole process, libmarrow too.
void* operator new(size_t size) {
  return allocate(size);
}
void* operator new[](size_t size) {
  return allocate(size);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, size_t) noexcept {
  std::free(memory);
}

namespace {

// Calls with room for 0, 1, 2, ... allocations, ever more sparsely, until it succeeds.
template <class Call>
void fail_everywhere(const char* what, const Call& call) {
  int failures = 0;
  for (long left = 0;; left += 1 + left / 16) {
    allocations_left = left;
    const marrow_status status = call();
    const bool reached = allocations_left == 0;
    allocations_left = -1;
    if (status == MARROW_OK) {
      EXPECT_GT(failures, 0) << what;
      return;
    }
    ++failures;
    EXPECT_TRUE(reached) << what << ": " << marrow_last_error();
    ASSERT_EQ(status, MARROW_ERROR_MEMORY) << what << " after " << left << ": " << marrow_last_error();
  }
}

TEST(Memory, RunningOutIsAStatus) {
  const std::string image_file = marrow::testing::api_file("b.png").string();
  const std::string model_file = marrow::testing::api_file("detector.safetensors").string();
  marrow_image* image = nullptr;
  fail_everywhere("image_read", [&] { return marrow_image_read(image_file.c_str(), &image); });
  marrow_model* model = nullptr;
  // Not here: the JSON library, which reads a model's header, allocates in destructors, and ends the program
  // where that fails.
  ASSERT_EQ(marrow_model_load(model_file.c_str(), nullptr, &model), MARROW_OK);
  marrow_detector_options options;
  marrow_detector_options_init(&options, sizeof options);
  options.threads = 1;
  options.tune = 0;
  options.input_width = 64;
  options.confidence = 0.01f;
  marrow_detector* detector = nullptr;
  fail_everywhere("detector_create", [&] { return marrow_detector_create(model, &options, &detector); });
  marrow_image_view view = {};
  view.struct_size = sizeof view;
  ASSERT_EQ(marrow_image_get_view(image, &view), MARROW_OK);
  marrow_detections* detections = nullptr;
  fail_everywhere("detect", [&] { return marrow_detect(detector, &view, 1, &detections); });
  EXPECT_GT(marrow_detections_count(detections, 0), 0u);
  marrow_detections_free(detections);
  marrow_detector_free(detector);
  marrow_model_free(model);
  marrow_image_free(image);
}

}  // namespace
