// How exactly keypoints are placed by people, as object keypoint similarity weighs their distance.
#pragma once

#include <vector>

#include "marrow/base/rules.h"

namespace marrow {

// One a point, relative to the object's size. Of COCO's 17 points of persons those that were measured; of
// other points, or where a point has two numbers, 1 / their number.
// Source: COCO's keypoint evaluation, Ronchi and Perona 2017.
std::vector<double> keypoint_sigmas(int points, int numbers);

// A dataset's own where it has some; 8.3's rules know of none.
std::vector<double> keypoint_sigmas(int points, int numbers, const std::vector<double>& own, Rules rules);

}  // namespace marrow
