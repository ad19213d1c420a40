// Behind a checksum a damaged input looks like any other: what is searched has its checksums set right first.
#pragma once

#include "fuzz/target.h"

namespace marrow::fuzz {

// Of every chunk of a PNG; other bytes come out as they are.
std::string with_png_checksums(Bytes bytes);

// The length and the checksum of a label cache (docs/formats/label_cache.md).
std::string with_label_cache_checksum(Bytes bytes);

}  // namespace marrow::fuzz
