// Where a user names a model: whether a file with weights is meant.
#pragma once

#include <filesystem>

namespace marrow::model {

// Whether a name ends as those of files with weights do: ".safetensors", ".pt", ".onnx", ...; letters of
// either case.
bool has_checkpoint_suffix(const std::filesystem::path& path);

// Throws Error{kFile} where there is no such file, with the file that may be meant.
void require_checkpoint_file(const std::filesystem::path& path);

// Whether what a user names as a model is meant as a checkpoint: a file that is no YAML, or a path with a
// checkpoint's suffix whether it exists or not. Everything else is a YAML or a name.
bool is_checkpoint_path(const std::filesystem::path& model);

}  // namespace marrow::model
