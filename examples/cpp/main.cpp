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
      for (const marrow::Detection& found : detector.detect(marrow::Image::read(argv[i])))
        std::printf("  %-16s %.2f  (%.0f, %.0f) to (%.0f, %.0f)\n", found.label.c_str(), found.confidence,
                    found.box.x1, found.box.y1, found.box.x2, found.box.y2);
    }
  } catch (const marrow::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
