// What augmentation works on: a picture and the objects in it, in pixels of that picture.
//
// Plain values. Every transform of this folder is a function of its arguments; random draws are arguments
// too.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "marrow/detect/letterbox.h"
#include "marrow/image/image.h"

namespace marrow::loader {

struct PixelPoint {
  float x = 0, y = 0;
};

struct Object {
  int class_id = 0;
  float x1 = 0, y1 = 0, x2 = 0, y2 = 0;  // the box; x2 >= x1, y2 >= y1
  std::vector<PixelPoint> polygon;       // the outline, when the labels have one; otherwise empty

  float width() const { return x2 - x1; }
  float height() const { return y2 - y1; }
  float area() const { return width() * height(); }
};

struct Sample {
  image::Image image;
  std::vector<Object> objects;
};

// A sample whose picture others use as well (a cache). Null picture: there is none.
struct SharedSample {
  std::shared_ptr<const image::Image> image;
  std::vector<Object> objects;
};

inline detect::Size size_of(const image::Image& image) {
  return {image.width(), image.height()};
}

// From the label files' form, parts of the picture's width and height, in single precision as the reference.
Object object_from_normalised(int class_id, float cx, float cy, float width, float height,
                              detect::Size picture);

// cx, cy, width, height as parts of the picture.
struct NormalisedBox {
  float cx = 0, cy = 0, width = 0, height = 0;
};
NormalisedBox normalised(const Object& object, detect::Size picture);

// Multiplies by the factors, then adds the offsets; outlines too.
void scale_and_shift(Object& object, float scale_x, float scale_y, float shift_x, float shift_y);

// Boxes are cut at the picture's border and outlines with them; objects that are left without area are
// removed.
void clip_and_drop(std::vector<Object>& objects, detect::Size picture);

// The part of the outline inside the picture (Sutherland and Hodgman 1974); empty where nothing is.
std::vector<PixelPoint> clip_polygon(std::span<const PixelPoint> polygon, detect::Size picture);

// The smallest box around the points. At least one point.
void set_box_around(Object& object, std::span<const PixelPoint> points);

// Area of the intersection of two boxes, 0 when they are apart.
float intersection_area(const Object& a, const Object& b);

// The picture in the middle of a grey `target`, scaled in proportion, also up when scale_up is set: what
// replaces the mosaic where there is none, and what validation sees.
Sample letterbox_sample(const SharedSample& sample, detect::Size target, bool scale_up);

}  // namespace marrow::loader
