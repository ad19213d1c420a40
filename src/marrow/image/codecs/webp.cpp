// WebP through libwebp, which decodes from memory in one call and checks as it goes.
#include <fmt/core.h>
#include <webp/decode.h>

#include <algorithm>
#include <cstring>

#include "marrow/base/error.h"
#include "marrow/image/codecs/codecs.h"

namespace marrow::image::codecs {
namespace {

constexpr size_t kRiffHeader = 12;  // "RIFF", size, "WEBP"
constexpr size_t kChunkHeader = 8;  // name, size
// One colour costs no bits a pixel, so any size fits into forty bytes. A file of up to a kilobyte may hold
// the 16 megapixels of such a picture, and others as many for each of their bytes.
constexpr int64_t kWebpPixelsPerByte = 16384, kFreeWebpBytes = 1024;

const char* reason(VP8StatusCode status) {
  switch (status) {
    case VP8_STATUS_NOT_ENOUGH_DATA:
      return "the file ends early";
    case VP8_STATUS_OUT_OF_MEMORY:
      return "there is not enough memory";
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      return "it uses an unknown feature";
    default:
      return "the data makes no sense";
  }
}

int webp_orientation(Bytes webp) {
  for (size_t at = kRiffHeader; at <= webp.size() && webp.size() - at > kChunkHeader;) {
    size_t length = little_32(webp, at + 4);
    if (length > webp.size() - at - kChunkHeader) return 1;
    Bytes content = webp.subspan(at + kChunkHeader, length);
    if (std::memcmp(webp.data() + at, "EXIF", 4) == 0) {
      constexpr size_t kJpegPrefix = 6;  // some writers keep JPEG's "Exif" and two zero bytes
      bool prefixed = length > kJpegPrefix && std::memcmp(content.data(), "Exif", 4) == 0;
      return exif_orientation(prefixed ? content.subspan(kJpegPrefix) : content);
    }
    at += kChunkHeader + length + length % 2;
  }
  return 1;
}

}  // namespace

StoredSize webp_size(Bytes bytes, const std::string& name) {
  WebPBitstreamFeatures features;
  const VP8StatusCode status = WebPGetFeatures(bytes.data(), bytes.size(), &features);
  if (status != VP8_STATUS_OK) fail(name, "WebP", reason(status));
  return {features.width, features.height, webp_orientation(bytes)};
}

StoredImage read_webp(Bytes bytes, const std::string& name) {
  constexpr const char* kind = "WebP";
  WebPDecoderConfig config;
  if (!WebPInitDecoderConfig(&config))
    throw Error(ErrorKind::kUnsupported, name + ": libwebp is of another version");
  VP8StatusCode status = WebPGetFeatures(bytes.data(), bytes.size(), &config.input);
  if (status != VP8_STATUS_OK) fail(name, kind, reason(status));
  if (config.input.has_animation) {
    throw Error(ErrorKind::kUnsupported, name + ": an animated WebP is not a kind of image that can be read");
  }
  check_size(name, kind, config.input.width, config.input.height);
  if (int64_t{config.input.width} * config.input.height >
      kWebpPixelsPerByte * std::max<int64_t>(static_cast<int64_t>(bytes.size()), kFreeWebpBytes))
    fail(name, kind,
         fmt::format("{} bytes for {} x {} pixels; at most {} a byte are read", bytes.size(),
                     config.input.width, config.input.height, kWebpPixelsPerByte));
  StoredImage stored;
  stored.image = Image(config.input.width, config.input.height);
  config.output.colorspace = MODE_BGR;  // drops alpha
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = stored.image.row(0);
  config.output.u.RGBA.stride = static_cast<int>(stored.image.row_bytes());
  config.output.u.RGBA.size = stored.image.byte_size();
  status = WebPDecode(bytes.data(), bytes.size(), &config);
  if (status != VP8_STATUS_OK) fail(name, kind, reason(status));
  stored.orientation = webp_orientation(bytes);
  return stored;
}

}  // namespace marrow::image::codecs
