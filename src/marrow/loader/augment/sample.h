// What augmentation works on: an image and the objects in it, in pixels of that image.
//
// Plain values. Every transform of this folder is a function of its arguments; random draws are arguments
// too.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "marrow/geometry/box.h"
#include "marrow/geometry/size.h"
#include "marrow/image/image.h"

namespace marrow::loader {

struct Object {
  int class_id = 0;
  Box<ImagePixels> box;
  std::vector<Point<ImagePixels>> polygon = {};  // the outline, when the labels have one; otherwise empty
  std::vector<Keypoint<ImagePixels>> keypoints = {};  // as many in every object of a pose dataset
};

struct Sample {
  image::Image image;
  std::vector<Object> objects;
  // Regions to ignore, inside the image. They are no objects: nothing is drawn, counted or left out for them.
  std::vector<Box<ImagePixels>> ignored = {};
};

// A sample whose image others use as well (a cache). A null image: there is none.
struct SharedSample {
  std::shared_ptr<const image::Image> image;
  std::vector<Object> objects;
  std::vector<Box<ImagePixels>> ignored = {};
};

inline Size size_of(const image::Image& image) {
  return {image.width(), image.height()};
}

// From the form of label files and back, in single precision as the reference implementation.
Box<ImagePixels> to_pixels(const CentredBox<Normalised>& box, Size image);
CentredBox<Normalised> normalised(const Box<ImagePixels>& box, Size image);

// Multiplies by the factors, then adds the offsets; outlines too.
Box<ImagePixels> scaled_and_shifted(const Box<ImagePixels>& box, float scale_x, float scale_y, float shift_x,
                                    float shift_y);
void scale_and_shift(Object& object, float scale_x, float scale_y, float shift_x, float shift_y);

// The part of the box inside the image.
Box<ImagePixels> clipped(const Box<ImagePixels>& box, Size image);

// Boxes are cut at the image's border and outlines with them; objects that are left without area are
// removed.
void clip_and_drop(std::vector<Object>& objects, Size picture);
void clip_and_drop(std::vector<Box<ImagePixels>>& boxes, Size picture);

// The part of the outline inside the image (Sutherland and Hodgman 1974); empty where nothing is.
std::vector<Point<ImagePixels>> clip_polygon(std::span<const Point<ImagePixels>> polygon, Size picture);

// The smallest box around the points. At least one point.
Box<ImagePixels> box_around(std::span<const Point<ImagePixels>> points);

// Area of the intersection of two boxes, 0 when they are apart.
float intersection_area(const Box<ImagePixels>& a, const Box<ImagePixels>& b);

// The image in the middle of a grey `target`, scaled in proportion, also up when scale_up is set: what
// replaces the mosaic where there is none, and what validation sees.
Sample letterbox_sample(const SharedSample& sample, Size target, bool scale_up);

}  // namespace marrow::loader
