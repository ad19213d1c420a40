#include "support/output_file.h"

#include <fmt/format.h>

#include <system_error>

#include "marrow/base/error.h"

namespace marrow::cli {

void check_output_file(const std::filesystem::path& output, const std::string& suffix,
                       const std::string& kind, const std::filesystem::path& input) {
  if (output.extension() != suffix)
    throw Error(ErrorKind::kUsage,
                fmt::format("{}: the name of {} ends in {}", output.string(), kind, suffix));
  std::error_code ignored;
  if (std::filesystem::equivalent(output, input, ignored))
    throw Error(ErrorKind::kUsage,
                output.string() + ": this is the file that is read, and would be lost; write to another");
}

std::filesystem::path checkpoint_output(const std::string& given, const std::string& model,
                                        const std::string& ending) {
  std::filesystem::path output = given;
  if (output.empty()) {
    output = model;
    output.replace_filename(output.stem().string() + ending + ".safetensors");
  }
  check_output_file(output, ".safetensors", "a checkpoint", model);
  return output;
}

}  // namespace marrow::cli
