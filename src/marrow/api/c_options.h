// Options as C has them, and as C++ does.
#pragma once

#include "marrow/marrow.h"
#include "marrow/marrow.hpp"

namespace marrow::v0::in_c {

marrow_detector_options detector_defaults();
marrow_classifier_options classifier_defaults();

// Of null the defaults. Throw Error{kUsage} for a struct that no library could have made or can read.
DetectorOptions detector_options(const marrow_detector_options* given);
ClassifierOptions classifier_options(const marrow_classifier_options* given);
LoadOptions load_options(const marrow_load_options* given);

}  // namespace marrow::v0::in_c
