// Labels that are likely wrong: where a trained model and the labels of an image disagree. Pure functions.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "marrow/data/labels.h"
#include "marrow/detect/nms.h"

namespace marrow::data {

struct Suspect {
  enum class Kind {
    kMissing,  // the model is sure of an object that has no label
    kClass,    // it is sure of another class for a labelled box
    kLoose,    // it is sure of the class, but its box lies beside the labelled one
    kUnseen,   // it sees nothing at all where a label is
  };
  Kind kind = Kind::kMissing;
  Box<ImagePixels> box;  // the detection's; of kUnseen the label's
  int labelled = -1;     // class of the label; -1: there is none
  int found = -1;        // class of the detection; -1: there is none
  double score = 0;  // 0..1, the most suspicious first: the model's confidence; of kUnseen half the label's
                     // share of the image's side, for small objects are missed more easily
};
std::string_view suspect_kind_name(Suspect::Kind kind);  // "missing", "class", "loose", "unseen"

// `detections` by falling confidence, in pixels of the image, with the dataset's classes; those below `sure`
// only count as having seen something. Crowds, difficult objects and what lies in them are not suspected.
std::vector<Suspect> find_suspects(std::span<const detect::Detection> detections, const LabelledImage& image,
                                   float sure);

}  // namespace marrow::data
