// The objects in one picture, with the installed library: detect yolov8n.pt photo.jpg
#include <cstdio>

#include "marrow/base/error.h"
#include "marrow/detect/results.h"
#include "marrow/image/decode.h"
#include "marrow/model/import.h"
#include "marrow/predict/detector.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: detect CHECKPOINT PICTURE\n");
    return 2;
  }
  try {
    marrow::model::TrainedModel trained = marrow::model::load_trained(argv[1]);
    const auto names = trained.model.names;
    marrow::predict::Detector detector(std::move(trained.model.graph), std::move(trained.weights), {});
    const marrow::predict::DetectionResult result =
        detector.detect(marrow::image::decode_image_file(argv[2]).image);
    for (const marrow::detect::Detection& found : result.detections)
      std::printf("%-16s %.2f  (%.0f, %.0f) to (%.0f, %.0f)\n",
                  marrow::detect::class_name(names, found.class_id).c_str(), found.confidence, found.box[0],
                  found.box[1], found.box[2], found.box[3]);
  } catch (const marrow::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
