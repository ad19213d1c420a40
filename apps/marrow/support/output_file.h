// The file that a command leaves its result in.
#pragma once

#include <filesystem>
#include <string>

namespace marrow::cli {

// Throws Error{kUsage} unless `output` ends in `suffix`, as `kind` of file does, and is another file than
// `input`.
void check_output_file(const std::filesystem::path& output, const std::string& suffix,
                       const std::string& kind, const std::filesystem::path& input);

// `given`, or else best-int8.safetensors for best.pt and the ending "-int8". Checked as above.
std::filesystem::path checkpoint_output(const std::string& given, const std::string& model,
                                        const std::string& ending);

}  // namespace marrow::cli
