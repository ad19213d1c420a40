#include "marrow/predict/readable.h"

#include "marrow/base/error.h"

namespace marrow::predict {

void require_readable(const image::Image& image, const Graph& graph) {
  if (image.empty()) throw Error(ErrorKind::kShape, "the image is empty");
  const ImageReading wanted = image_reading(graph);
  if (image.format() != wanted.samples)
    throw Error(ErrorKind::kUsage,
                "the image has " + to_string(image.format()) + "; this model wants " + to_string(wanted));
}

}  // namespace marrow::predict
