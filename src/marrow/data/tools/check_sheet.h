// A sheet of images with their boxes, to look at.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "marrow/data/image_bytes.h"
#include "marrow/data/labels.h"
#include "marrow/detect/extras.h"
#include "marrow/detect/nms.h"
#include "marrow/image/image.h"

namespace marrow::data {

// What is drawn besides boxes, at the size at which the tile shows the image; empty: nothing.
using LabelExtras = std::function<detect::DetectionExtras(Size shown)>;

// The image letterboxed into `tile` x `tile` pixels, with the boxes and the regions to ignore, which are in
// its own pixels; names as draw_detections takes them. It is read as its dataset says and shown as
// image::displayed() has it. Lines and letters have the same size in every tile. Grey where the file does not
// decode.
image::Image draw_tile(const ImageFile& image, std::vector<detect::Detection> boxes,
                       std::span<const std::string> names, int tile, const ImageReading& reading,
                       std::vector<Box<ImagePixels>> regions = {}, const LabelExtras& extras = {});

// Up to `columns` x `columns` images, evenly chosen from those with labels or regions to ignore (and, if
// there are none, from all), each letterboxed into `tile` pixels with its boxes, regions and class names, and
// the masks, keypoints or turned boxes of its labels, on one sheet (detect/sheet.h). Images that do not
// decode stay grey. Empty without images.
image::Image draw_label_sheet(std::span<const LabelledImage* const> images,
                              std::span<const std::string> names, const ImageReading& reading = {},
                              Task task = Task::kDetect, int columns = 4, int tile = 320);

// Up to `most` pairs of images, the two of a pair side by side in a frame, each in `tile` pixels.
image::Image draw_pair_sheet(std::span<const std::pair<ImageFile, ImageFile>> pairs,
                             const ImageReading& reading = {}, size_t most = 16, int tile = 240);

}  // namespace marrow::data
