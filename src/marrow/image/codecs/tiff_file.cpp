#include "marrow/image/codecs/tiff_file.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace marrow::image::codecs {
namespace {

// What the compressions that say how well they compress reach at best (LZW: 1365, deflate: 1032).
constexpr int64_t kMaxRatio = 2048;
// Others may keep a row of one colour in a bit or less. A file of up to a kilobyte may hold 16 million
// samples so, and others as many for each of their bytes.
constexpr int64_t kSamplesPerByte = 16384, kFreeBytes = 1024;
constexpr uint32_t kUsualTile = 1024;  // pixels a side; a larger one is its page, in steps of 16
constexpr int64_t kUsualTileBytes = 64 << 20;
constexpr tmsize_t kMaxSingleAllocation = 1'000'000'000;

tmsize_t on_read(thandle_t handle, void* out, tmsize_t count) {
  auto& source = *static_cast<TiffSource*>(handle);
  if (count <= 0 || source.position >= source.bytes.size()) return 0;
  uint64_t available =
      std::min<uint64_t>(static_cast<uint64_t>(count), source.bytes.size() - source.position);
  std::memcpy(out, source.bytes.data() + source.position, available);
  source.position += available;
  return static_cast<tmsize_t>(available);
}

toff_t on_seek(thandle_t handle, toff_t offset, int whence) {
  auto& source = *static_cast<TiffSource*>(handle);
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
  return static_cast<TiffSource*>(handle)->bytes.size();
}

int on_error(TIFF*, void* user, const char*, const char* format, va_list arguments) {
  auto& source = *static_cast<TiffSource*>(user);
  if (source.error[0] == '\0') std::vsnprintf(source.error, sizeof source.error, format, arguments);
  return 1;  // handled: do not print
}

int on_warning(TIFF*, void*, const char*, const char*, va_list) {
  return 1;
}

struct FreeOptions {
  void operator()(TIFFOpenOptions* options) const { TIFFOpenOptionsFree(options); }
};

// The smallest file that is believed to hold the values, in bytes.
int64_t least_bytes(TIFF* tiff, int64_t values) {
  uint16_t compression = COMPRESSION_NONE, bits = 1;
  TIFFGetFieldDefaulted(tiff, TIFFTAG_COMPRESSION, &compression);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &bits);
  const int64_t raw = values * bits / 8;
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
      return values / kSamplesPerByte <= kFreeBytes ? 0 : values / kSamplesPerByte;
  }
}

}  // namespace

TiffFile open_tiff(TiffSource& source) {
  std::unique_ptr<TIFFOpenOptions, FreeOptions> options(TIFFOpenOptionsAlloc());
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), on_error, &source);
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), on_warning, nullptr);
  TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), kMaxSingleAllocation);
  return TiffFile(TIFFClientOpenExt("memory", "rm", &source, on_read, on_write, on_seek, on_close, on_size,
                                    nullptr, nullptr, options.get()));
}

void fail_tiff(const std::string& name, const TiffSource& source) {
  fail(name, "TIFF", source.error[0] != '\0' ? source.error : "the data makes no sense");
}

void require_bytes(TIFF* tiff, const std::string& name, Bytes bytes, int64_t samples) {
  uint32_t width = 0, height = 0;
  TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width);
  TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &height);
  if (least_bytes(tiff, int64_t{width} * height * samples) > static_cast<int64_t>(bytes.size()))
    fail(name, "TIFF",
         fmt::format("{} bytes cannot hold the {} x {} pixels it claims", bytes.size(), width, height));
}

void require_small_tiles(TIFF* tiff, const std::string& name) {
  if (TIFFIsTiled(tiff) == 0) return;
  uint32_t width = 0, height = 0, tile_width = 0, tile_height = 0;
  uint16_t samples = 1, bits = 1;
  TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width);
  TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &height);
  TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &tile_width);
  TIFFGetField(tiff, TIFFTAG_TILELENGTH, &tile_height);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &samples);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &bits);
  const auto bytes = [&](uint32_t columns, uint32_t rows) {
    return int64_t{columns} * rows * samples / 8 * bits;
  };
  if (tile_width > std::max(width + 15, kUsualTile) || tile_height > std::max(height + 15, kUsualTile) ||
      bytes(tile_width, tile_height) > std::max(2 * bytes(width, height), kUsualTileBytes))
    fail(name, "TIFF",
         fmt::format("tiles of {} x {} pixels in an image of {} x {}", tile_width, tile_height, width,
                     height));
}

}  // namespace marrow::image::codecs
