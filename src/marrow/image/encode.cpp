#include "marrow/image/encode.h"

#include <fmt/core.h>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/text.h"

namespace marrow::image {
namespace {

bool is_jpeg(const std::string& suffix) {
  return suffix == ".jpg" || suffix == ".jpeg";
}

}  // namespace

bool is_writable_image(const std::filesystem::path& path) {
  std::string suffix = to_lower(path.extension().string());
  return is_jpeg(suffix) || suffix == ".png";
}

void write_image(const std::filesystem::path& path, ConstPixels pixels, const JpegOptions& options) {
  if (!is_writable_image(path)) {
    throw Error(ErrorKind::kUnsupported,
                fmt::format("{}: images are written as .jpg, .jpeg or .png", path.string()));
  }
  bool jpeg = is_jpeg(to_lower(path.extension().string()));
  write_file_atomically(path, jpeg ? encode_jpeg(pixels, options) : encode_png(pixels));
}

}  // namespace marrow::image
