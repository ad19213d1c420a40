// The objects in images, with the installed library: detect best.safetensors street.jpg ...
#include <cstdio>
#include <marrow/marrow.hpp>

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: detect MODEL IMAGE...\n");
    return 2;
  }
  try {
    const marrow::Model model(argv[1]);
    const marrow::Detector detector(model, {.confidence = 0.25f});
    for (int i = 2; i < argc; ++i) {
      std::printf("%s\n", argv[i]);
      for (const marrow::Detection& found : detector.detect(marrow::Image::read(argv[i]))) {
        std::printf("  %-16s %.2f  (%.0f, %.0f) to (%.0f, %.0f)", found.label.c_str(), found.confidence,
                    found.box.x1, found.box.y1, found.box.x2, found.box.y2);
        if (found.mask.width > 0) std::printf(", its mask an outline of %zu points", found.outline.size());
        if (!found.keypoints.empty()) std::printf(", its points at");
        for (const auto& [x, y, visibility] : found.keypoints) std::printf(" (%.0f, %.0f)", x, y);
        if (found.turned) std::printf(", turned by %.2f", found.turned->angle);
        std::printf("\n");
      }
    }
  } catch (const marrow::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
