// The bytes of an image, whether it has a file of its own or is a member of a tar.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "marrow/data/labels.h"
#include "marrow/image/decode.h"

namespace marrow::data {

struct ImageFile {
  ImageFile(std::filesystem::path file) : path(std::move(file)) {}
  ImageFile(const LabelledImage& image) : path(image.path), part(image.part) {}

  std::filesystem::path path;
  std::shared_ptr<const ArchivePart> part;  // none: `path` is a file
};

// Throw what image::decode_image_file throws.
std::string read_image_bytes(const ImageFile& image);
image::DecodedImage decode_image(const ImageFile& image, const image::DecodeOptions& options = {});

uint64_t bytes_of(const ImageFile& image);  // 0 where there is no such file

}  // namespace marrow::data
