/* The objects in images, with the installed library: detect best.safetensors street.jpg ... */
#include <marrow/marrow.h>
#include <stdio.h>

/* Prints what is in one image. */
static marrow_status show(const marrow_detector *detector, const char *path) {
  marrow_image *image = NULL;
  marrow_detections *detections = NULL;
  marrow_image_view view = {.struct_size = sizeof view};
  size_t i, k;

  marrow_status status = marrow_image_read(path, &image);
  if (status == MARROW_OK) status = marrow_image_get_view(image, &view);
  if (status == MARROW_OK) status = marrow_detect(detector, &view, 1, &detections);
  if (status == MARROW_OK) printf("%s\n", path);
  for (i = 0; i < marrow_detections_count(detections, 0); ++i) {
    marrow_detection found = {.struct_size = sizeof found};
    if (marrow_detections_get(detections, 0, i, &found) != MARROW_OK) continue;
    printf("  %-16s %.2f  (%.0f, %.0f) to (%.0f, %.0f)", found.label, found.confidence, found.x1, found.y1, found.x2,
           found.y2);
    if (found.mask != NULL) printf(", its mask an outline of %zu points", found.outline_count);
    if (found.keypoints != NULL) printf(", its points at");
    for (k = 0; k < found.keypoint_count; ++k) printf(" (%.0f, %.0f)", found.keypoints[k].x, found.keypoints[k].y);
    if (found.turned) printf(", turned by %.2f", found.angle);
    printf("\n");
  }
  marrow_detections_free(detections);
  marrow_image_free(image);
  return status;
}

int main(int argc, char **argv) {
  marrow_model *model = NULL;
  marrow_detector *detector = NULL;
  marrow_detector_options options;
  marrow_status status;
  int i;

  if (argc < 3) {
    fprintf(stderr, "usage: detect MODEL IMAGE...\n");
    return 2;
  }
  marrow_detector_options_init(&options, sizeof options);
  options.confidence = 0.25f;
  status = marrow_model_load(argv[1], NULL, &model);
  if (status == MARROW_OK) status = marrow_detector_create(model, &options, &detector);
  for (i = 2; i < argc && status == MARROW_OK; ++i) status = show(detector, argv[i]);
  if (status != MARROW_OK) fprintf(stderr, "%s\n", marrow_last_error());
  marrow_detector_free(detector);
  marrow_model_free(model);
  return status == MARROW_OK ? 0 : 1;
}
