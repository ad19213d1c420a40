// Copies of outlined objects, pasted into an image: its own ones mirrored, or those of another.
#pragma once

#include "marrow/loader/augment/sample.h"

namespace marrow::loader {

// A copy may cover less than this part of any object's box.
constexpr float kLargestCover = 0.30f;

// Mode "flip". Of the objects with an outline whose mirrored box covers little enough of every box,
// round(share * count) are pasted, those that cover least first. Objects without an outline are never copied.
void copy_paste_mirrored(Sample& sample, double share);

// Mode "mixup": the same with the objects of another sample of the same size, as they lie there.
void copy_paste_from(const Sample& other, Sample& sample, double share);

}  // namespace marrow::loader
