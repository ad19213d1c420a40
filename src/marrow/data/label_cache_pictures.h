// What a label cache says of one picture, as bytes. Whoever changes it raises label_cache.cpp's version.
#pragma once

#include <cstddef>

#include "marrow/data/label_cache_bytes.h"
#include "marrow/data/split_scan.h"

namespace marrow::data {

// The least that each takes.
constexpr size_t kStringBytes = 4, kStampBytes = 16;
constexpr size_t kImageBytes = 2 * (kStringBytes + kStampBytes) + 1 + 2 * 4 + 4 + 1 + 1 + 1 + 4;

void put_stamp(ByteWriter& out, const FileStamp& stamp);
FileStamp get_stamp(ByteReader& in);

void put_picture(ByteWriter& out, const ScannedImage& picture);
// Throws Error{kFormat} for what does not fit a dataset of so many classes and such keypoints.
ScannedImage get_picture(ByteReader& in, int classes, const KeypointShape& keypoints);

}  // namespace marrow::data
