// Marrow for C++ programs: find objects in images, with masks, keypoints or turned boxes, or say what an
// image shows.
//
//   marrow::Detector detector(marrow::Model("best.safetensors"));
//   for (const marrow::Detection& found : detector.detect(marrow::Image::read("street.jpg")))
//     std::cout << found.label << ' ' << found.confidence << '\n';
//
// Results are those of `marrow predict` with the same options, to the last bit.
//
// Errors: everything here throws marrow::Error, whose message says what was found and what was wanted, or
// std::bad_alloc. A call that throws changes nothing; the object can be used further.
//
// Threads: any thread may use any object, and several threads may share one, except while it is assigned to,
// moved from or destroyed. Calls on one Detector or Classifier take turns, since each call already uses all
// its threads. To run several at once, make several of one Model, each with few threads: they share what the
// file holds, but each has working memory of its own.
//
// C++20. Only what stands in marrow.hpp, marrow.h and version.h is for other programs; version.h says what a
// new version may change.
#pragma once

#if __cplusplus < 202002L
#error "marrow.hpp needs C++20"
#endif

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "marrow/version.h"

#define MARROW_CPP_API __attribute__((visibility("default")))
#define MARROW_CPP_PRIVATE __attribute__((visibility("hidden")))

namespace marrow {

// Part of every symbol's name, never written by a program: marrow::v0::Detector is marrow::Detector. The
// library has other types of these names inside, so there it is not inline.
#ifndef MARROW_BUILDING
inline
#endif
    namespace v0 {

// Of the library that runs; MARROW_VERSION is that of the headers.
MARROW_CPP_API const char* version() noexcept;

enum class ErrorKind {
  kUsage = 1,    // an argument or option that makes no sense
  kFile,         // a file is missing or cannot be read
  kFormat,       // the content of a file or of encoded bytes is broken, or of an unknown kind
  kModel,        // a file holds no network that can be run
  kUnsupported,  // well formed, but nothing that Marrow does
  kOther,        // the system refused something, such as a thread
};

class MARROW_CPP_API Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message);
  Error(const Error&) noexcept;
  Error& operator=(const Error&) noexcept;
  ~Error() override;
  ErrorKind kind() const noexcept { return kind_; }

 private:
  ErrorKind kind_;
};

// --- Images

enum class PixelFormat {
  kRgb,   // 3 bytes a pixel
  kBgr,   // 3 bytes a pixel, as OpenCV has them
  kGray,  // 1 byte a pixel
  kOwn,   // as a model reads images that are not three channels of 8 bits; views of an Image alone
};

// Pixels that the caller owns, 8 bits a channel. They are read during a call only.
struct ImageView {
  const std::uint8_t* data = nullptr;  // the top left pixel
  int width = 0;                       // pixels; at most 65500 a side, and 200 million in all
  int height = 0;
  // Bytes from a row to the next, negative for rows that lie bottom up; 0: the rows touch.
  std::ptrdiff_t stride = 0;
  PixelFormat format = PixelFormat::kRgb;
};

class Model;

// A decoded image. Copies share the pixels, which never change.
class MARROW_CPP_API Image {
 public:
  // JPEG, PNG, WebP, BMP or TIFF, told apart by their content; upright, as its EXIF data ask.
  static Image read(const std::filesystem::path& path);
  static Image decode(std::span<const std::byte> bytes);
  // With the channels and bits that the model was trained on, which may be others than three of 8 bits. Only
  // networks of such a model take the image then.
  static Image read(const std::filesystem::path& path, const Model& model);
  static Image decode(std::span<const std::byte> bytes, const Model& model);

  Image(const Image&) noexcept;
  Image(Image&&) noexcept;
  Image& operator=(const Image&) noexcept;
  Image& operator=(Image&&) noexcept;
  ~Image();

  int width() const;
  int height() const;
  // Not empty where a damaged JPEG could be read in part only: one line about it.
  const std::string& warning() const;
  // Blue, green, red; kOwn where it was read for a model that wants others. Valid as long as this image or a
  // copy of it lives.
  ImageView view() const;
  operator ImageView() const { return view(); }

 private:
  struct Impl;
  MARROW_CPP_PRIVATE explicit Image(std::shared_ptr<const Impl> impl);
  MARROW_CPP_PRIVATE const Impl& impl() const;
  std::shared_ptr<const Impl> impl_;
};

// --- Models

enum class Task {
  kDetect,
  kClassify,
  kSegment,  // boxes with masks
  kPose,     // boxes with keypoints
  kObb,      // turned boxes
};

struct LoadOptions {
  // For a published file whose network cannot be told from its content, as the options --as and
  // --weights-source of the program: the model it holds, and the implementation it comes from.
  std::string as = {};
  std::string weights_source = {};
};

// A network with its weights, as a file holds it. Never changes; copies share it.
class MARROW_CPP_API Model {
 public:
  // Any file that `marrow predict` takes: .safetensors, .pt, .pth, .pth.tar, .pdparams, .onnx.
  explicit Model(const std::filesystem::path& path, const LoadOptions& options = {});

  Model(const Model&) noexcept;
  Model(Model&&) noexcept;
  Model& operator=(const Model&) noexcept;
  Model& operator=(Model&&) noexcept;
  ~Model();

  Task task() const;
  // By class id.
  const std::vector<std::string>& class_names() const;
  // The input, in pixels, that images are fitted into where nothing else is asked for.
  int input_width() const;
  int input_height() const;
  // What the reader of the file has to say about it: a line each.
  const std::vector<std::string>& warnings() const;

 private:
  friend class Image;
  friend class Detector;
  friend class Classifier;
  struct Impl;
  MARROW_CPP_PRIVATE const Impl& impl() const;
  std::shared_ptr<const Impl> impl_;
};

enum class Precision {
  kFloat32,
  kBfloat16,
  kInt8,  // for models that `marrow quantize` made
};

struct EngineOptions {
  int threads = 0;  // 1 to 1024; 0: every processor that this process may use
  Precision precision = Precision::kFloat32;
  // Where a layer has several implementations, measure them once and remember the fastest below the user's
  // cache folder: up to a second when a network meets an input size for the first time on a machine.
  // Otherwise a fixed rule chooses.
  bool tune = true;
};

// --- Detection

struct Box {
  float x1 = 0;  // pixels of the image, from its top left corner
  float y1 = 0;
  float x2 = 0;
  float y2 = 0;
};

struct Point {
  float x = 0;  // pixels of the image, from its top left corner
  float y = 0;
};

struct Keypoint {
  float x = 0;  // pixels of the image
  float y = 0;
  float visibility = 1;  // how likely it can be seen, 0 to 1; 1 where the model does not say
};

// A box that is turned about its centre.
struct TurnedBox {
  float cx = 0;  // pixels of the image
  float cy = 0;
  float width = 0;
  float height = 0;
  float angle = 0;  // radians, clockwise as seen: the width lies along (cos angle, sin angle)
  // c + u + v, c + u - v, c - u - v, c - u + v, where u is half the width along its axis and v half the
  // height.
  MARROW_CPP_API std::array<Point, 4> corners() const;
};

// Which pixels belong to an object, without the empty rows and columns around them.
struct Mask {
  int width = 0;
  int height = 0;
  std::vector<std::uint8_t> pixels;  // 1: belongs to it, else 0; row by row
  // Where a point of the image lies in it: at x * scale_x + left, y * scale_y + top.
  double scale_x = 1;
  double scale_y = 1;
  double left = 0;
  double top = 0;
  // The whole that it is cut from, and where its first pixel is there.
  int whole_width = 0;
  int whole_height = 0;
  int x = 0;
  int y = 0;
  // All pixels of that, row by row.
  MARROW_CPP_API std::vector<std::uint8_t> whole() const;
};

struct Detection {
  Box box;               // of a turned box: the smallest upright box around it
  float confidence = 0;  // 0 to 1
  int class_id = 0;
  std::string label;  // the class's name, or its number where the model knows no names
  // Of a model that segments; otherwise empty. Several parts are one outline, joined by bridges of no width.
  Mask mask = {};
  std::vector<Point> outline = {};
  std::vector<Keypoint> keypoints = {};  // of a model of poses; otherwise empty
  std::optional<TurnedBox> turned = {};  // of a model of turned boxes
};

enum class MaskSize {
  kInput,  // of the network's input, padding included; of images that are cut into tiles the image's
  kImage,  // finer, and takes more time and memory
};

struct DetectorOptions {
  EngineOptions engine = {};
  // The network's input in pixels, 1 to 16384, rounded up to a multiple of the network's largest stride. 0:
  // as the other side; both 0: the model's own.
  int input_width = 0;
  int input_height = 0;
  bool rect = true;  // pad an image only to the next multiple of the stride, not to the whole input
  // Detections are above it; 0 to 1. Nothing: above each class's own, where the model holds such thresholds
  // (`marrow val --thresholds`), else above 0.25.
  std::optional<float> confidence = {};
  float iou = 0.7f;                 // of two boxes that overlap by more, the weaker is dropped; 0 to 1
  int max_detections = 300;         // an image; 1 to 1000000
  bool agnostic = false;            // boxes of different classes suppress each other too
  std::vector<int> class_ids = {};  // only these classes; empty: all
  // The boxes that an end-to-end head (YOLO26, YOLOv10) chooses itself, without suppression.
  bool end2end = false;
  // Pixels: images are cut into squares of this side, and what is found in them is joined across their
  // borders; for small objects in large images. At most 16384; 0: images are not cut. Nothing: the tiles that
  // the model was trained on, if any (`marrow train --tile`). Where neither input_width nor input_height is
  // given, it is the input's side too.
  std::optional<int> tile = {};
  // How much of a tile lies in its neighbour; 0 to 0.9. Nothing: as in the model's tiles, else 0.2.
  std::optional<float> tile_overlap = {};
  // Of models that segment; others know no masks, and kImage is refused.
  MaskSize masks = MaskSize::kInput;
  bool outlines = true;  // of masks, too
};

// Of any model but a classifier: what it finds beside boxes is in the detections.
class MARROW_CPP_API Detector {
 public:
  explicit Detector(const Model& model, const DetectorOptions& options = {});
  Detector(Detector&&) noexcept;
  Detector& operator=(Detector&&) noexcept;
  ~Detector();

  // By falling confidence.
  std::vector<Detection> detect(const ImageView& image) const;
  // One list an image: a batch gives exactly what its images give one by one.
  std::vector<std::vector<Detection>> detect(std::span<const ImageView> images) const;

  // After rounding.
  int input_width() const;
  int input_height() const;

 private:
  struct Impl;
  MARROW_CPP_PRIVATE const Impl& impl() const;
  std::unique_ptr<Impl> impl_;
};

// --- Classification

struct ClassProbability {
  int class_id = 0;
  std::string label;
  float probability = 0;  // 0 to 1
};

struct ClassifierOptions {
  EngineOptions engine = {};
  int input_size = 0;  // pixels a side, 1 to 16384; 0: the model's own
};

class MARROW_CPP_API Classifier {
 public:
  explicit Classifier(const Model& model, const ClassifierOptions& options = {});
  Classifier(Classifier&&) noexcept;
  Classifier& operator=(Classifier&&) noexcept;
  ~Classifier();

  // The `top` likeliest classes, by falling probability; all where there are fewer.
  std::vector<ClassProbability> classify(const ImageView& image, int top = 5) const;
  std::vector<std::vector<ClassProbability>> classify(std::span<const ImageView> images, int top = 5) const;

  int input_size() const;

 private:
  struct Impl;
  MARROW_CPP_PRIVATE const Impl& impl() const;
  std::unique_ptr<Impl> impl_;
};

}  // namespace v0
}  // namespace marrow
