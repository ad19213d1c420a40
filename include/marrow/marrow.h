/* Marrow for C programs, and for every language that can call C: find objects in images, with masks,
   keypoints or turned boxes, or say what an image shows. docs/use-from-c.md has a whole program.

   Errors: a function that can fail returns a marrow_status. Where it is not MARROW_OK, marrow_last_error()
   says what was found and what was wanted, and what a pointer given as the last argument points to is NULL,
   or as it was. No exception leaves the library, and running out of memory is a status as well. A pointer
   that has to be there and is NULL is MARROW_ERROR_USAGE; the _free functions take NULL and do nothing.

   Structs grow in later versions, at their end. Each starts with its size in the caller's program: set
   struct_size to sizeof the struct, or let the _init function do it. What an older program does not know has
   its default; what a newer program sets and this library does not know is refused.

   Objects are opaque and made by the library; each has a _free function. A detector keeps what it needs of
   its model, so a model may be freed first. Texts are UTF-8 where the files that they come from are, and
   belong to the object that they are of.

   Threads: any thread may use any object, and several threads may share one, except while it is freed. Calls
   on one detector or classifier take turns, since each call already uses all its threads. To run several at
   once, make several of one model, each with few threads. */
#ifndef MARROW_H
#define MARROW_H

#include <stddef.h>
#include <stdint.h>

#include "marrow/version.h"

#define MARROW_C_API __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

/* Of the library that runs; MARROW_VERSION is that of the header. */
MARROW_C_API const char* marrow_version(void);

typedef enum marrow_status {
  MARROW_OK = 0,
  MARROW_ERROR_USAGE = 1,  /* an argument or option that makes no sense */
  MARROW_ERROR_FILE = 2,   /* a file is missing or cannot be read */
  MARROW_ERROR_FORMAT = 3, /* the content of a file or of encoded bytes is broken, or of an unknown kind */
  MARROW_ERROR_MODEL = 4,  /* a file holds no network that can be run */
  MARROW_ERROR_UNSUPPORTED = 5, /* well formed, but nothing that Marrow does */
  MARROW_ERROR_OTHER = 6,       /* the system refused something, such as a thread */
  MARROW_ERROR_MEMORY = 7       /* there is not enough memory */
} marrow_status;

/* About the last call of this thread that failed; "" before one. Valid until this thread's next call that
   fails. At most 4095 bytes; a longer message is cut. */
MARROW_C_API const char* marrow_last_error(void);

/* --- Images */

enum marrow_pixel_format {
  MARROW_RGB = 0,  /* 3 bytes a pixel */
  MARROW_BGR = 1,  /* 3 bytes a pixel, as OpenCV has them */
  MARROW_GRAY = 2, /* 1 byte a pixel */
  MARROW_OWN =
      3 /* as a model reads images that are not three channels of 8 bits; views of a marrow_image alone */
};

/* Pixels that the caller owns, 8 bits a channel. They are read during a call only. */
typedef struct marrow_image_view {
  size_t struct_size;
  const uint8_t* data; /* the top left pixel */
  int width;           /* pixels; at most 65500 a side, and 200 million in all */
  int height;
  ptrdiff_t
      stride; /* bytes from a row to the next, negative for rows that lie bottom up; 0: the rows touch */
  int format; /* of enum marrow_pixel_format */
} marrow_image_view;

/* A decoded image: JPEG, PNG, WebP, BMP or TIFF, told apart by its content; upright, as its EXIF data ask. */
typedef struct marrow_image marrow_image;

MARROW_C_API marrow_status marrow_image_read(const char* path, marrow_image** image);
MARROW_C_API marrow_status marrow_image_decode(const void* bytes, size_t size, marrow_image** image);
/* Valid as long as the image. */
MARROW_C_API marrow_status marrow_image_get_view(const marrow_image* image, marrow_image_view* view);
/* Not "" where a damaged JPEG could be read in part only: one line about it. */
MARROW_C_API const char* marrow_image_warning(const marrow_image* image);
MARROW_C_API void marrow_image_free(marrow_image* image);

/* --- Models */

typedef struct marrow_model marrow_model;

typedef enum marrow_task {
  MARROW_DETECT = 1,
  MARROW_CLASSIFY = 2,
  MARROW_SEGMENT = 3, /* boxes with masks */
  MARROW_POSE = 4,    /* boxes with keypoints */
  MARROW_OBB = 5      /* turned boxes */
} marrow_task;

/* For a published file whose network cannot be told from its content, as the options --as and
   --weights-source of the program: the model it holds, and the implementation it comes from. NULL: told by
   the file. */
typedef struct marrow_load_options {
  size_t struct_size;
  const char* as;
  const char* weights_source;
} marrow_load_options;

/* Any file that `marrow predict` takes: .safetensors, .pt, .pth, .pth.tar, .pdparams, .onnx. `options` may be
 * NULL. */
MARROW_C_API marrow_status marrow_model_load(const char* path, const marrow_load_options* options,
                                             marrow_model** model);
/* 0 for NULL. */
MARROW_C_API marrow_task marrow_model_task(const marrow_model* model);
MARROW_C_API size_t marrow_model_class_count(const marrow_model* model);
/* NULL where there is no such class. */
MARROW_C_API const char* marrow_model_class_name(const marrow_model* model, size_t class_id);
/* The input, in pixels, that images are fitted into where nothing else is asked for. */
MARROW_C_API marrow_status marrow_model_input_size(const marrow_model* model, int* width, int* height);
/* What the reader of the file has to say about it. NULL where there is no such warning. */
MARROW_C_API size_t marrow_model_warning_count(const marrow_model* model);
MARROW_C_API const char* marrow_model_warning(const marrow_model* model, size_t index);
/* An image with the channels and bits that the model was trained on, which may be others than three of 8
   bits. Only networks of such a model take it then. */
MARROW_C_API marrow_status marrow_image_read_for(const char* path, const marrow_model* model,
                                                 marrow_image** image);
MARROW_C_API marrow_status marrow_image_decode_for(const void* bytes, size_t size, const marrow_model* model,
                                                   marrow_image** image);
MARROW_C_API void marrow_model_free(marrow_model* model);

enum marrow_precision {
  MARROW_FLOAT32 = 0,
  MARROW_BFLOAT16 = 1,
  MARROW_INT8 = 2 /* for models that `marrow quantize` made */
};

/* --- Detection, by any model but a classifier */

enum marrow_mask_size {
  MARROW_MASK_INPUT = 0, /* of the network's input, padding included; of images in tiles the image's */
  MARROW_MASK_IMAGE = 1  /* finer, and takes more time and memory */
};

typedef struct marrow_detector_options {
  size_t struct_size;
  int threads;   /* 1 to 1024; 0, the default: every processor that this process may use */
  int precision; /* of enum marrow_precision; MARROW_FLOAT32 */
  /* Not 0, the default: where a layer has several implementations, measure them once and remember the fastest
     below the user's cache folder. 0: a fixed rule chooses. */
  int tune;
  /* The network's input in pixels, 1 to 16384, rounded up to a multiple of the network's largest stride. 0:
     as the other side; both 0, the default: the model's own. */
  int input_width;
  int input_height;
  int rect; /* 1: pad an image only to the next multiple of the stride, not to the whole input */
  /* Detections are above it; 0 to 1. -1, the default: above each class's own, where the model holds such
     thresholds (`marrow val --thresholds`), else above 0.25. */
  float confidence;
  float iou;            /* 0.7: of two boxes that overlap by more, the weaker is dropped; 0 to 1 */
  int max_detections;   /* 300: an image; 1 to 1000000 */
  int agnostic;         /* 0; not 0: boxes of different classes suppress each other too */
  const int* class_ids; /* only these classes; NULL: all. Read during the call only */
  size_t class_id_count;
  int end2end; /* 0; not 0: the boxes that an end-to-end head (YOLO26, YOLOv10) chooses itself, without
                  suppression */
  /* Pixels: images are cut into squares of this side, and what is found in them is joined across their
     borders; for small objects in large images. At most 16384; 0: images are not cut. -1, the default: the
     tiles that the model was trained on, if any (`marrow train --tile`). Where neither input_width nor
     input_height is given, it is the input's side too. */
  int tile;
  /* How much of a tile lies in its neighbour; 0 to 0.9. -1, the default: as in the model's tiles, else 0.2.
   */
  float tile_overlap;
  /* Of enum marrow_mask_size; MARROW_MASK_INPUT. For models that segment; MARROW_MASK_IMAGE is refused by
     others. */
  int masks;
  int outlines; /* 1; not 0: masks have outlines, too */
} marrow_detector_options;

/* Sets every option to its default: marrow_detector_options_init(&options, sizeof options). */
MARROW_C_API void marrow_detector_options_init(marrow_detector_options* options, size_t struct_size);

typedef struct marrow_detector marrow_detector;

/* `options` may be NULL. */
MARROW_C_API marrow_status marrow_detector_create(const marrow_model* model,
                                                  const marrow_detector_options* options,
                                                  marrow_detector** detector);
/* After rounding. */
MARROW_C_API marrow_status marrow_detector_input_size(const marrow_detector* detector, int* width,
                                                      int* height);
MARROW_C_API void marrow_detector_free(marrow_detector* detector);

/* What was found in the images of one call. */
typedef struct marrow_detections marrow_detections;

/* Entries of lists, so these never grow. Pixels of the image. */
typedef struct marrow_point {
  float x;
  float y;
} marrow_point;

typedef struct marrow_keypoint {
  float x;
  float y;
  float visibility; /* how likely it can be seen, 0 to 1; 1 where the model does not say */
} marrow_keypoint;

/* What it points to belongs to the detections. */
typedef struct marrow_detection {
  size_t struct_size;
  float x1; /* pixels of the image, from its top left corner */
  float y1;
  float x2;
  float y2;
  float confidence; /* 0 to 1 */
  int class_id;
  const char* label; /* the class's name, or its number where the model knows no names */
  /* Of a model that segments, else NULL: which pixels belong to the object, a byte each, 0 or 1, row by row,
     without the empty rows and columns around them (NULL where none does). A point of the image lies at
     x * mask_scale_x + mask_left, y * mask_scale_y + mask_top. */
  const uint8_t* mask;
  int mask_width;
  int mask_height;
  double mask_scale_x;
  double mask_scale_y;
  double mask_left;
  double mask_top;
  /* The whole that the mask is cut from, and where its first pixel is there. */
  int mask_whole_width;
  int mask_whole_height;
  int mask_x;
  int mask_y;
  /* The mask's outline, or NULL; several parts are joined by bridges of no width. */
  const marrow_point* outline;
  size_t outline_count;
  /* Of a model of poses, else NULL. */
  const marrow_keypoint* keypoints;
  size_t keypoint_count;
  /* Of a model of turned boxes, where `turned` is 1: a box that is turned about its centre, by an angle in
     radians, clockwise as seen, so that its width lies along (cos angle, sin angle). x1 to y2 are then the
     smallest upright box around it. */
  int turned;
  float cx;
  float cy;
  float width;
  float height;
  float angle;
  /* c + u + v, c + u - v, c - u - v, c - u + v, where u is half the width along its axis and v half the
   * height.
   */
  marrow_point corners[4];
} marrow_detection;

/* A batch of `count` images gives exactly what its images give one by one. All views have one struct_size. */
MARROW_C_API marrow_status marrow_detect(const marrow_detector* detector, const marrow_image_view* images,
                                         size_t count, marrow_detections** detections);
/* How many there are in an image of the batch; 0 where there is no such image. */
MARROW_C_API size_t marrow_detections_count(const marrow_detections* detections, size_t image);
/* By falling confidence. */
MARROW_C_API marrow_status marrow_detections_get(const marrow_detections* detections, size_t image,
                                                 size_t index, marrow_detection* detection);
MARROW_C_API void marrow_detections_free(marrow_detections* detections);

/* --- Classification */

typedef struct marrow_classifier_options {
  size_t struct_size;
  int threads; /* as of a detector */
  int precision;
  int tune;
  int input_size; /* pixels a side, 1 to 16384; 0, the default: the model's own */
} marrow_classifier_options;

MARROW_C_API void marrow_classifier_options_init(marrow_classifier_options* options, size_t struct_size);

typedef struct marrow_classifier marrow_classifier;

/* `options` may be NULL. */
MARROW_C_API marrow_status marrow_classifier_create(const marrow_model* model,
                                                    const marrow_classifier_options* options,
                                                    marrow_classifier** classifier);
MARROW_C_API marrow_status marrow_classifier_input_size(const marrow_classifier* classifier, int* pixels);
MARROW_C_API void marrow_classifier_free(marrow_classifier* classifier);

/* The likeliest classes of the images of one call. */
typedef struct marrow_classes marrow_classes;

typedef struct marrow_class_probability {
  size_t struct_size;
  int class_id;
  float probability; /* 0 to 1 */
  const char* label; /* belongs to the classes */
} marrow_class_probability;

/* The `top` likeliest classes of each image; all where there are fewer. */
MARROW_C_API marrow_status marrow_classify(const marrow_classifier* classifier,
                                           const marrow_image_view* images, size_t count, int top,
                                           marrow_classes** classes);
MARROW_C_API size_t marrow_classes_count(const marrow_classes* classes, size_t image);
/* By falling probability. */
MARROW_C_API marrow_status marrow_classes_get(const marrow_classes* classes, size_t image, size_t index,
                                              marrow_class_probability* probability);
MARROW_C_API void marrow_classes_free(marrow_classes* classes);

#ifdef __cplusplus
}
#endif

#endif
