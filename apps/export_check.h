// Proves an exported ONNX file: read back and run in every shape it allows, and given to other people's readers.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "image/image.h"
#include "onnx/export.h"
#include "passes/pass.h"

namespace marrow::cli {

struct ExportCheck {
  struct Run {
    std::string what;       // "Marrow, 2 images of 640x640"
    double difference = 0;  // from the source, relative to its largest output
  };
  std::vector<Run> runs;
  std::vector<std::string> passed;   // checks without a number
  std::vector<std::string> not_run;  // each with the reason
  // How much the network's output changes, in the same measure, when every number of its input changes by 1e-7 of
  // itself, the rounding of float32: no reader can be closer.
  double sensitivity = 0;
};

// `network` is what was exported. The pictures are stretched to the input's size; without any, the program draws some.
// Throws Error{kModel} where a reader refuses the file.
ExportCheck check_export(const std::filesystem::path& file, const GraphWithWeights& network,
                         const onnx::ExportOptions& options, const std::vector<Image>& pictures, int threads);

}  // namespace marrow::cli
