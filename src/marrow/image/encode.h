// Images are written as files.
#pragma once

#include <filesystem>
#include <string>

#include "marrow/image/image.h"

namespace marrow::image {

struct JpegOptions {
  int quality = 95;              // 1..100
  bool subsample_chroma = true;  // 4:2:0 as usual; false keeps thin coloured lines sharp
};

// Whether write_image knows the suffix: .jpg, .jpeg or .png, in any case.
bool is_writable_image(const std::filesystem::path& path);

// The file's content. The image has at least one pixel and at most kMaxImageSide a side; of JPEG and PNG
// three channels of 8 bits.
std::string encode_jpeg(ConstPixels pixels, const JpegOptions& options = {});
std::string encode_png(ConstPixels pixels);
// Of any format, not compressed: one page, the samples of a pixel side by side.
std::string encode_tiff(ConstPixels pixels);

// The suffix chooses the kind. Atomic: a reader sees the old file or the whole new one. Throws
// Error{kUnsupported} for a suffix that is not writable, Error{kFile} when writing fails.
void write_image(const std::filesystem::path& path, ConstPixels pixels, const JpegOptions& options = {});

}  // namespace marrow::image
