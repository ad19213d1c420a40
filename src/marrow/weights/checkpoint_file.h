// Reads every published kind of checkpoint into plain data. The kind is recognised by content, never by the
// file's name:
//
//   .safetensors           safetensors.h
//   .pt .pth .pth.tar      torch.save, zip archive (since 1.6) or legacy stream; a state dict, a dict around
//   one, or a whole pickled model .pdparams              Paddle: a pickled dict of numpy arrays, protocol 2
//   to 5
//
// Nothing in a pickle is executed: weights/torch/pickle.h. All input is treated as hostile.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "marrow/graph/weights.h"
#include "marrow/weights/torch/pickled_model.h"

namespace marrow::weights {

enum class CheckpointKind { kSafetensors, kTorchArchive, kTorchLegacy, kPickle };
std::string_view kind_name(CheckpointKind kind);  // "safetensors", "torch archive", "torch legacy", "pickle"

struct CheckpointOptions {
  // The entry of the file's top dict to take the weights from; empty: choose. `state_dict_ema` is taken only
  // when named here.
  std::string key;
};

struct Checkpoint {
  CheckpointKind kind = CheckpointKind::kSafetensors;

  // Parameters and buffers by name, a leading `module.` (of DataParallel) removed. Floating tensors of every
  // width were made float32 (published weights are often float16; everything computes in float32); integers
  // stay. Tensors are contiguous.
  Weights state;

  // The names of `state` as they follow each other in the file, which is the order of the network's modules
  // in torch's files. Sorted names, as in safetensors, say nothing of it: they follow the numbers in them
  // ("a.2" before "a.10").
  std::vector<std::string> order;

  std::string
      key;  // the entry that was taken ("ema", "state_dict", "model.state_dict", ...), "" for the whole file
  std::optional<ModelAttributes> model;  // of a whole pickled model
  std::map<std::string, std::string>
      metadata;  // of safetensors; else text and numbers of the top dict (epoch, version, arch, ...)
};

// In a top dict, the weights are the first of `ema`, `model_ema`, `model`, `state_dict`, `module` that is a
// state dict or a module object; without one of them, the dict itself when it holds tensors (entries that are
// no tensors are ignored). A state dict may map to numpy arrays or to pairs (name, array), as Paddle writes
// both.
//
// All tensors together may take at most 16 times the file's size (tied and expanded tensors) plus 1 MiB.
//
// Throws Error{kFile} when the file cannot be read, Error{kFormat} when it is broken, hostile or of no known
// kind, Error{kUnsupported} when it wants to run code or holds what Marrow cannot represent, Error{kUsage}
// when options.key names nothing that holds weights.
Checkpoint read_checkpoint(const std::filesystem::path& path, const CheckpointOptions& options = {});

}  // namespace marrow::weights
