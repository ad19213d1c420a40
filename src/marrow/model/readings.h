// What the text of a model YAML could mean. Forks of YOLOv8 write different networks in the same words; where
// a file with tensors is there, its names and shapes tell which.
#pragma once

#include <string>
#include <vector>

#include "marrow/model/spec.h"

namespace marrow::model {

struct Reading {
  std::string what;  // of the lines that are read otherwise than a YAML alone would be; empty for the first
  ModelSpec spec;    // in words that have one meaning
};

// The first is the spec as it stands, which is how it is read without tensors. `factors` of the spec are its
// scale's.
std::vector<Reading> readings_of(const ModelSpec& spec);

}  // namespace marrow::model
