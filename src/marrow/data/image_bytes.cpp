#include "marrow/data/image_bytes.h"

#include "marrow/base/files.h"
#include "marrow/base/random_access_file.h"

namespace marrow::data {

std::string read_image_bytes(const ImageFile& image) {
  if (image.part == nullptr) return read_file(image.path, static_cast<size_t>(image::kMaxImageFileBytes));
  std::string bytes(image.part->bytes, '\0');
  RandomAccessFile(image.part->archive).read(image.part->offset, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

image::DecodedImage decode_image(const ImageFile& image, const image::DecodeOptions& options) {
  if (image.part == nullptr) return image::decode_image_file(image.path, options);
  const std::string bytes = read_image_bytes(image);
  return image::decode_image(std::as_bytes(std::span(bytes)), image.path.string(), options);
}

uint64_t bytes_of(const ImageFile& image) {
  if (image.part != nullptr) return image.part->bytes;
  std::error_code error;
  const uint64_t bytes = std::filesystem::file_size(image.path, error);
  return error ? 0 : bytes;
}

}  // namespace marrow::data
