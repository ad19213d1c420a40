// Proves an exported ONNX file: read back and run in every shape it allows, and given to other people's
// readers.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "marrow/graph/passes/pass.h"
#include "marrow/image/image.h"
#include "marrow/onnx/write/export.h"

namespace marrow::cli {

struct ExportCheck {
  struct Run {
    std::string what;       // "Marrow, 2 images of 640x640"
    double difference = 0;  // from the source, relative to its largest output
  };
  std::vector<Run> runs;
  std::vector<std::string> passed;   // checks without a number
  std::vector<std::string> not_run;  // each with the reason
  double contrast = 1;               // of the images, where they are drawn; see calm_contrast()
  double sensitivity = 0;            // rounding_sensitivity() on them
};

// `network` is what was exported. The images are stretched to the input's size; without any, the program
// draws some. Throws Error{kModel} where a reader refuses the file.
ExportCheck check_export(const std::filesystem::path& file, const passes::GraphWithWeights& network,
                         const onnx::ExportOptions& options, const std::vector<image::Image>& pictures,
                         int threads);

// Why OpenCV cannot run such a network in a batch of so many; empty where it can.
std::string_view opencv_obstacle(const Graph& graph, int batch);

}  // namespace marrow::cli
