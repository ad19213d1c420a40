// What augmentation works on: an image and the objects in it, in pixels of that image.
//
// Plain values. Every transform of this folder is a function of its arguments; random draws are arguments
// too.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "marrow/base/task.h"
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
  Task task = Task::kDetect;  // kObb: outlines stand for turned boxes
};

// A sample whose image others use as well (a cache). A null image: there is none.
struct SharedSample {
  std::shared_ptr<const image::Image> image;
  std::vector<Object> objects;
  std::vector<Box<ImagePixels>> ignored = {};
  Task task = Task::kDetect;
};

inline Size size_of(const image::Image& image) {
  return {image.width(), image.height()};
}

// From the form of label files and back, in single precision as the reference implementation.
Box<ImagePixels> to_pixels(const CentredBox<Normalised>& box, Size image);
CentredBox<Normalised> normalised(const Box<ImagePixels>& box, Size image);

// Multiplies by the factors, then adds the offsets; outlines and keypoints too.
Box<ImagePixels> scaled_and_shifted(const Box<ImagePixels>& box, float scale_x, float scale_y, float shift_x,
                                    float shift_y);
void scale_and_shift(Object& object, float scale_x, float scale_y, float shift_x, float shift_y);

// The part of the box inside the image.
Box<ImagePixels> clipped(const Box<ImagePixels>& box, Size image);

// Cuts an object at the image's border: its box, and the points of its outline, which move to the border.
// Keypoints outside are no longer labelled. A turned box (kObb) keeps its angle (outline/turned_box.h).
void clip(Object& object, Size picture, Task task);

// The same for all of them; objects that are left without area are removed.
void clip_and_drop(std::vector<Object>& objects, Size picture, Task task = Task::kDetect);
void clip_and_drop(std::vector<Box<ImagePixels>>& boxes, Size picture);

// Objects from several images: their outlines get as many points as the longest has.
void even_out(std::vector<Object>& objects);

// Area of the intersection of two boxes, 0 when they are apart.
float intersection_area(const Box<ImagePixels>& a, const Box<ImagePixels>& b);

// The image in the middle of a grey `target`, scaled in proportion, also up when scale_up is set: what
// replaces the mosaic where there is none, and what validation sees.
Sample letterbox_sample(const SharedSample& sample, Size target, bool scale_up);

}  // namespace marrow::loader
