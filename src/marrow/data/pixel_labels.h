// From boxes in pixels, as COCO and VOC state them, to labels: the one place where they are normalised,
// clipped and counted.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "marrow/data/labels.h"
#include "marrow/geometry/box.h"
#include "marrow/geometry/size.h"

namespace marrow::data {

struct PixelObject {
  int class_id = 0;  // or kIgnoreClass
  Box<ImagePixels, double> box;
  bool crowd = false, difficult = false;
  std::span<const double> outline = {};    // x, y pairs
  std::span<const uint32_t> parts = {};    // where its later parts begin
  std::span<const double> keypoints = {};  // x, y, visibility; as many in every object
};

// The box around x, y pairs, of which there is at least one.
Box<ImagePixels, double> bounds_of_pairs(std::span<const double> pairs);

// Where a label comes from: "file:line", and what the message begins with where a line says too little.
struct LabelOrigin {
  std::string place;
  std::string subject = {};  // "a.jpg: annotation 7: "
};

class PixelLabels {
 public:
  // The annotation's size of the image (zero when it states none) and the image's own, upright.
  // Coordinates are those of the annotation: an image that was scaled afterwards keeps its boxes.
  PixelLabels(double stated_width, double stated_height, int width, int height, Task task = Task::kDetect);

  Size stated_size() const;  // whose coordinates these are; zero when that is no number of whole pixels

  // Notes an image of another size than stated: turned (its boxes are likely wrong), or scaled.
  void check_size(const LabelOrigin& origin);

  // centre = (left + right) / 2 / W, size = (right - left) / W. A box that reaches outside by more than
  // kLabelTolerance is clipped, with a problem, and its outline with it (but not the corners of a turned
  // box); one without area is dropped; of equal ones one is kept. Outlines and keypoints tell objects apart
  // where the task is about them.
  void add(const PixelObject& object, const LabelOrigin& origin);
  void problem(Problem::Severity severity, Problem::Kind kind, const LabelOrigin& origin,
               const std::string& message);
  void set_unusable() { usable_ = false; }

  ParsedLabels take(const std::string& file);

 private:
  void drop_duplicates();

  Task task_;
  double stated_width_, stated_height_;  // as used
  int width_, height_;
  bool usable_ = true;
  bool any_polygon_ = false, any_part_ = false;
  ParsedLabels result_;
  std::vector<LabelOrigin> origins_;  // of the labels
  ProblemList problems_;
};

}  // namespace marrow::data
