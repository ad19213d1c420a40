// Whether a network can see an image.
#pragma once

#include "marrow/graph/graph.h"
#include "marrow/image/image.h"

namespace marrow::predict {

// Throws Error{kShape} for an empty image, Error{kUsage} for one that was not read as image_reading() says.
void require_readable(const image::Image& image, const Graph& graph);

}  // namespace marrow::predict
