// The size that a network's input gets: what was asked for, what the model's file is fixed at, or what suits
// it.
#pragma once

#include <span>
#include <string>

#include "marrow/geometry/letterbox.h"
#include "marrow/model/model.h"

namespace marrow::predict {

// The side that a network is run at when nobody says one: what a detector was trained at, or kDetectionSize;
// a classifier's own crop, or kDefaultCrop.
int default_input_side(const model::Model& model);

// The same as a size, where the model's file is not fixed at another.
Size default_input_size(const model::Model& model);

// The input for what --imgsz says: one number, height and width, or nothing, which stands for
// default_input_size(). Rounded up to what a detector can read, since its maps meet only at multiples of its
// largest stride; says so on stderr. Throws Error{kUsage} where the file is fixed at another size. `file` is
// for messages.
Size input_size(const std::string& file, const model::Model& model, std::span<const int> imgsz);

// Sides of a detector's input are multiples of it: of its largest stride, and never of less than 32, as
// YOLO's own preprocessing.
int input_multiple(const DetectDecode& decode);
int rounded_up(int side, int multiple);

}  // namespace marrow::predict
