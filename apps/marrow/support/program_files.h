// Programs that are installed with this one.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace marrow::cli {

// Other people's readers of ONNX files (apps/check_onnx).
inline constexpr const char* kOnnxChecker = "marrow-check-onnx";

// Videos, streams and webcams (apps/marrow_video).
inline constexpr const char* kVideoProgram = "marrow-video";

// Beside this program, or in the PATH.
std::optional<std::filesystem::path> find_beside(const std::string& program);

// This process becomes that program, which is given these words. Throws Error{kFile} where it cannot be
// started.
[[noreturn]] void become_program(const std::filesystem::path& program, std::vector<std::string> words);

}  // namespace marrow::cli
