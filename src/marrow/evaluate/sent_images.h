// Images of a validation on their way from the worker that ran the network on them to the one that measures
// all: as bytes, with everything that a DetectionValidator asks of them.
//
// Plain functions. The bytes are for processes of one version on one kind of machine, not for files.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "marrow/evaluate/metrics/detection_validator.h"

namespace marrow::evaluate {

// Appends an image of batch `batch`.
void append_image(std::string& bytes, int64_t batch, const ValidatedImage& image);

// Visits the images of all workers, in the order that one worker would have them: batch after batch, of each
// those of the first worker first. Throws Error{kFormat} for bytes that are no images.
void visit_images(std::span<const std::string> workers,
                  const std::function<void(const ValidatedImage& image)>& visit);

}  // namespace marrow::evaluate
