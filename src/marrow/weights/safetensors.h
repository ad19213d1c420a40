// The safetensors format: an 8-byte little-endian header length, a JSON header (name -> dtype, shape,
// data_offsets; and
// "__metadata__", text -> text), then the raw little-endian tensors. It is what Marrow writes.
// Source: huggingface/safetensors, "Format" in its README.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>

#include "marrow/graph/weights.h"

namespace marrow::weights {

struct SafetensorsFile {
  Weights tensors;  // every type as it is stored
  std::map<std::string, std::string> metadata;
};

// Strict, as the format's own implementation is: the header has at most 32 MiB, lengths fit the file, each
// tensor has exactly the bytes of its shape, tensors follow one another without gap or overlap to the end of
// the file, no name twice. Throws Error{kFile} when the file cannot be read, Error{kFormat} when it breaks a
// rule, Error{kUnsupported} for an element type that Marrow does not have.
SafetensorsFile read_safetensors(const std::filesystem::path& path);

// Whether the bytes can be the start of such a file: a plausible header length, then '{'.
bool looks_like_safetensors(std::span<const std::byte> bytes);

// Writes atomically (base/files.h): after an error the old file is still there. Tensors are ordered by
// falling element size, then name, and the header is padded to 8 bytes, so that all data is aligned; the same
// input gives the same bytes. Throws Error{kFile} when the file cannot be written, Error{kFormat} for a name
// or metadata that is not UTF-8.
void write_safetensors(const std::filesystem::path& path, const Weights& tensors,
                       const std::map<std::string, std::string>& metadata);

}  // namespace marrow::weights
