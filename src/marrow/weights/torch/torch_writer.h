// Writes a plain state dict that Python's torch.load reads, weights_only too: a stored zip with a pickle of
// protocol 2 and one storage a tensor, as torch.save since 1.6.
#pragma once

#include <filesystem>

#include "marrow/graph/weights.h"

namespace marrow::weights {

// Written atomically; the order is that of the names. The same input gives the same bytes. Throws
// Error{kFile} when the file cannot be written, Error{kUnsupported} from 4 GiB on and for a type that torch
// has no storage for.
void write_torch_state_dict(const std::filesystem::path& path, const Weights& tensors);

}  // namespace marrow::weights
