// Plain data of a pickle as JSON text, which is also YAML: model descriptions and training arguments.
#pragma once

#include <string>

#include "marrow/weights/torch/pickle.h"

namespace marrow::weights {

// None, bools, numbers, strings, lists, tuples, sets and dicts as themselves, in their order; keys of any
// plain type become text. Namespaces and other argument objects become their dict, paths their text, numpy
// scalars numbers; anything else (tensors, classes, bytes) and non-finite numbers become null. Text that is
// not UTF-8 is repaired. Throws Error{kFormat} beyond 64 levels, 200,000 values or 16 MB of text: cycles and
// shared containers end there. `where` begins the message.
std::string to_json(const PickleValue& value, const std::string& where);

}  // namespace marrow::weights
