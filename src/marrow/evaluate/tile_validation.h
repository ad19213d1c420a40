// Validation of a detector that cuts images into tiles.
#pragma once

#include <cstdint>
#include <functional>

#include "marrow/evaluate/detector_validation.h"
#include "marrow/predict/detector.h"

namespace marrow::evaluate {

// Takes images as they are, each by itself: for a detector that cuts them into tiles. `store` keeps
// images' own size. Both definitions of mAP compare boxes in pixels of the image.
using DetectImage = std::function<predict::DetectionResult(size_t index, const image::Image& image)>;
DetectorValidation validate_whole_images(loader::ImageStore& store, const DetectorValidationOptions& options,
                                         const DetectImage& detect,
                                         const std::function<bool(int64_t images_done)>& keep_going = {});

// As predict::Detector cuts images, fits tiles into its input and joins what is found in them.
struct TiledInput {
  TileOptions tiles;
  int image_size = 640;  // a multiple of the stride
  int stride = 32;       // that inputs are padded to
  int batch = 16;        // tiles, of one image
};
// The same by a network that wants batches: those of an image are batches of their own, with the labels of
// each tile as targets.
DetectorValidation validate_tiles(loader::ImageStore& store, const TiledInput& input,
                                  const DetectorValidationOptions& options, const PredictBatch& predict,
                                  cpu::ThreadPool& threads,
                                  const std::function<bool(int64_t images_done)>& keep_going = {});

}  // namespace marrow::evaluate
