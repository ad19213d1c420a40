// What the tests of the public API need of the layers. Those tests see the public headers only, as a program
// does.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace marrow::testing {

// Makes files in the folder: detector.safetensors (3 classes) and classifier.safetensors with random weights
// that find something everywhere; a.jpg, b.png and c.jpg, drawn scenes of three sizes; grey.png.
// segment.safetensors, pose.safetensors and obb.safetensors are detectors of these tasks.
// bands.safetensors is a detector of four channels of 16 bits, bands.tif an image for it.
void write_api_files(const std::filesystem::path& folder);

// What the program answers on stdout; fails the test where its exit code is not 0.
std::string run_marrow(const std::vector<std::string>& arguments);

}  // namespace marrow::testing
