// TIFF through libtiff's conversion to 8-bit RGBA, which knows all photometric kinds, tiles, strips and
// compressions.
#include <fmt/core.h>
#include <tiffio.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "marrow/base/error.h"
#include "marrow/image/codecs/codecs.h"

namespace marrow::image::codecs {
namespace {

// What the compressions that say how well they compress reach at best (LZW: 1365, deflate: 1032).
constexpr int64_t kMaxRatio = 2048;
constexpr tmsize_t kMaxSingleAllocation = 1'000'000'000;

// The file in memory, and the first complaint about it.
struct Source {
  Bytes bytes;
  uint64_t position = 0;
  char error[256] = "";
};

tmsize_t on_read(thandle_t handle, void* out, tmsize_t count) {
  auto& source = *static_cast<Source*>(handle);
  if (count <= 0 || source.position >= source.bytes.size()) return 0;
  uint64_t available =
      std::min<uint64_t>(static_cast<uint64_t>(count), source.bytes.size() - source.position);
  std::memcpy(out, source.bytes.data() + source.position, available);
  source.position += available;
  return static_cast<tmsize_t>(available);
}

toff_t on_seek(thandle_t handle, toff_t offset, int whence) {
  auto& source = *static_cast<Source*>(handle);
  uint64_t base = whence == SEEK_CUR ? source.position : whence == SEEK_END ? source.bytes.size() : 0;
  source.position = base + offset;  // past the end is legal; reading there gives nothing
  return source.position;
}

tmsize_t on_write(thandle_t, void*, tmsize_t) {
  return 0;
}
int on_close(thandle_t) {
  return 0;
}
toff_t on_size(thandle_t handle) {
  return static_cast<Source*>(handle)->bytes.size();
}

int on_error(TIFF*, void* user, const char*, const char* format, va_list arguments) {
  auto& source = *static_cast<Source*>(user);
  if (source.error[0] == '\0') std::vsnprintf(source.error, sizeof source.error, format, arguments);
  return 1;  // handled: do not print
}

int on_warning(TIFF*, void*, const char*, const char*, va_list) {
  return 1;
}

struct Close {
  void operator()(TIFF* tiff) const { TIFFClose(tiff); }
  void operator()(TIFFOpenOptions* options) const { TIFFOpenOptionsFree(options); }
};

std::unique_ptr<TIFF, Close> open(Source& source) {
  std::unique_ptr<TIFFOpenOptions, Close> options(TIFFOpenOptionsAlloc());
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), on_error, &source);
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), on_warning, nullptr);
  TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), kMaxSingleAllocation);
  return std::unique_ptr<TIFF, Close>(TIFFClientOpenExt("memory", "rm", &source, on_read, on_write, on_seek,
                                                        on_close, on_size, nullptr, nullptr, options.get()));
}

// The smallest file that can hold the pixels, in bytes; 0 where the compression sets no bound (fax, LZMA,
// ...).
int64_t least_bytes(TIFF* tiff, int64_t pixels) {
  uint16_t compression = COMPRESSION_NONE, bits = 1, samples = 1;
  TIFFGetFieldDefaulted(tiff, TIFFTAG_COMPRESSION, &compression);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &bits);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &samples);
  // Chroma may be subsampled, so that one sample a pixel is all that is certain.
  int64_t raw = pixels * bits / 8;
  switch (compression) {
    case COMPRESSION_NONE:
      return raw;
    case COMPRESSION_LZW:
    case COMPRESSION_ADOBE_DEFLATE:
    case COMPRESSION_DEFLATE:
    case COMPRESSION_PACKBITS:
    case COMPRESSION_JPEG:
      return raw / kMaxRatio;
    default:
      return 0;
  }
}

}  // namespace

StoredSize tiff_size(Bytes bytes, const std::string& name) {
  Source source{bytes};
  const std::unique_ptr<TIFF, Close> tiff = open(source);
  if (!tiff) fail(name, "TIFF", source.error[0] != '\0' ? source.error : "the data makes no sense");
  uint32_t width = 0, height = 0;
  uint16_t orientation = 1;
  TIFFGetField(tiff.get(), TIFFTAG_IMAGEWIDTH, &width);
  TIFFGetField(tiff.get(), TIFFTAG_IMAGELENGTH, &height);
  TIFFGetFieldDefaulted(tiff.get(), TIFFTAG_ORIENTATION, &orientation);
  return {width, height, orientation};
}

StoredImage read_tiff(Bytes bytes, const std::string& name) {
  constexpr const char* kind = "TIFF";
  Source source{bytes};
  std::unique_ptr<TIFF, Close> tiff = open(source);
  auto complain = [&] {
    fail(name, kind, source.error[0] != '\0' ? source.error : "the data makes no sense");
  };
  if (!tiff) complain();
  uint32_t width = 0, height = 0;
  TIFFGetField(tiff.get(), TIFFTAG_IMAGEWIDTH, &width);
  TIFFGetField(tiff.get(), TIFFTAG_IMAGELENGTH, &height);
  check_size(name, kind, width, height);
  int64_t pixels = int64_t{width} * height;
  if (least_bytes(tiff.get(), pixels) > static_cast<int64_t>(bytes.size())) {
    fail(name, kind,
         fmt::format("{} bytes cannot hold the {} x {} pixels it claims", bytes.size(), width, height));
  }
  char refusal[1024] = "";
  if (!TIFFRGBAImageOK(tiff.get(), refusal)) {
    throw Error(ErrorKind::kUnsupported, fmt::format("{}: TIFF of an unknown kind: {}", name, refusal));
  }
  TIFFRGBAImage reader;
  constexpr int kStopOnError = 1;
  if (!TIFFRGBAImageBegin(&reader, tiff.get(), kStopOnError, refusal)) fail(name, kind, refusal);
  std::unique_ptr<TIFFRGBAImage, void (*)(TIFFRGBAImage*)> end(&reader, TIFFRGBAImageEnd);
  int orientation = reader.orientation;
  reader.req_orientation = reader.orientation;  // as stored: libtiff mirrors, but does not turn
  std::vector<uint32_t> rgba(static_cast<size_t>(pixels));
  if (!TIFFRGBAImageGet(&reader, rgba.data(), width, height)) complain();

  StoredImage stored;
  stored.orientation = orientation;
  stored.image = Image(static_cast<int>(width), static_cast<int>(height));
  const uint32_t* in = rgba.data();
  for (int y = 0; y < stored.image.height(); ++y) {
    uint8_t* out = stored.image.row(y);
    for (uint32_t x = 0; x < width; ++x, ++in, out += Image::kChannels) {
      out[0] = static_cast<uint8_t>(TIFFGetB(*in));
      out[1] = static_cast<uint8_t>(TIFFGetG(*in));
      out[2] = static_cast<uint8_t>(TIFFGetR(*in));
    }
  }
  return stored;
}

}  // namespace marrow::image::codecs
