// Labels as a picture has them.
#pragma once

#include "marrow/data/labels.h"
#include "marrow/detect/extras.h"
#include "marrow/geometry/size.h"

namespace marrow::data {

// The outlines of the labels as masks, or turned boxes (kObb), and their keypoints, in a picture of this size
// that shows the whole image. Masks are made only for the number of labels that a person can tell apart:
// nothing where there are more than kMostMasks, whose memory would be that of as many pictures.
inline constexpr size_t kMostMasks = 500;
detect::DetectionExtras extras_of(const LabelledImage& image, Task task, Size picture);

}  // namespace marrow::data
