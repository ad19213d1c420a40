// /v1/detect and /v1/classify: pictures in, what is in them out.
#pragma once

#include <memory>

#include "marrow/serve/call.h"

namespace marrow::serve {

// On a worker, guarded: reads the pictures, runs them and sees to the answer. `batch`: several of them, as a
// form. The body is a picture, or a form with files in its fields "image" or "file"; its Content-Type tells
// only whether it is a form, since clients call pictures whatever they like.
void answer_pictures(const std::shared_ptr<Call>& call, bool batch, BatchQueue& queue, Workers& workers);

}  // namespace marrow::serve
