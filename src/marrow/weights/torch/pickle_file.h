// The three kinds of files that hold a pickle with tensors, opened: torch archives, torch's format
// before 1.6, bare pickles.
#pragma once

#include <span>
#include <string>

#include "marrow/weights/torch/pickle.h"
#include "marrow/weights/torch/pickled_tensor.h"

namespace marrow::weights {

struct PickleFile {
  PickleDocument document;
  StorageLookup storages;
};

// All take the whole file, which must outlive the result; `where` (the path) begins every message. Storages
// are looked up, and their checksums verified, only when a tensor is read.

// torch.save since 1.6: a zip archive with <top>/data.pkl and <top>/data/<key>.
// Throws Error{kUnsupported} for TorchScript archives and big-endian files.
PickleFile open_torch_archive(std::span<const std::byte> bytes, const std::string& where);

// torch.save before 1.6: five pickles (magic number, protocol 1001, system, object, list of storage keys),
// then for every key its element count (int64) and its elements.
bool looks_like_torch_legacy(std::span<const std::byte> bytes);
PickleFile open_torch_legacy(std::span<const std::byte> bytes, const std::string& where);

// A pickle of plain data and numpy arrays, as Paddle writes .pdparams. There are no storages.
bool looks_like_pickle(std::span<const std::byte> bytes);
PickleFile open_bare_pickle(std::span<const std::byte> bytes, const std::string& where);

}  // namespace marrow::weights
