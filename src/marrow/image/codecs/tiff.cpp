// TIFF through libtiff's conversion to 8-bit RGBA, which knows all photometric kinds, tiles, strips and
// compressions; through its samples where that loses some.
#include <fmt/core.h>

#include <memory>
#include <vector>

#include "marrow/base/error.h"
#include "marrow/image/codecs/tiff_file.h"

namespace marrow::image::codecs {

StoredSize tiff_size(Bytes bytes, const std::string& name) {
  TiffSource source{bytes};
  const TiffFile tiff = open_tiff(source);
  if (!tiff) fail_tiff(name, source);
  uint32_t width = 0, height = 0;
  uint16_t orientation = 1;
  TIFFGetField(tiff.get(), TIFFTAG_IMAGEWIDTH, &width);
  TIFFGetField(tiff.get(), TIFFTAG_IMAGELENGTH, &height);
  TIFFGetFieldDefaulted(tiff.get(), TIFFTAG_ORIENTATION, &orientation);
  return {width, height, orientation};
}

StoredImage read_tiff(Bytes bytes, const std::string& name, const SampleFormat& wanted) {
  constexpr const char* kind = "TIFF";
  TiffSource source{bytes};
  const TiffFile tiff = open_tiff(source);
  if (!tiff) fail_tiff(name, source);
  uint32_t width = 0, height = 0;
  TIFFGetField(tiff.get(), TIFFTAG_IMAGEWIDTH, &width);
  TIFFGetField(tiff.get(), TIFFTAG_IMAGELENGTH, &height);
  check_size(name, kind, width, height, wanted);
  uint16_t bits = 1, samples = 1, photometric = PHOTOMETRIC_MINISBLACK;
  TIFFGetFieldDefaulted(tiff.get(), TIFFTAG_BITSPERSAMPLE, &bits);
  TIFFGetFieldDefaulted(tiff.get(), TIFFTAG_SAMPLESPERPIXEL, &samples);
  TIFFGetField(tiff.get(), TIFFTAG_PHOTOMETRIC, &photometric);
  const bool grey = photometric == PHOTOMETRIC_MINISBLACK || photometric == PHOTOMETRIC_MINISWHITE;
  if (wanted.channels == 1 && grey && samples > kGreyAndAlpha) fail_channels(name, kind, samples, 1);
  const bool ordinary = wanted.channels == 1 || wanted.channels == 3;
  if (!ordinary || (wanted.bits == 16 && bits > 8))
    return read_tiff_samples(tiff.get(), source, name, wanted);
  // Chroma may be subsampled, so that one sample a pixel is all that is certain then.
  require_bytes(tiff.get(), name, bytes, photometric == PHOTOMETRIC_YCBCR && samples == 3 ? 1 : samples);
  require_small_tiles(tiff.get(), name);
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
  std::vector<uint32_t> rgba(size_t{width} * height);
  if (!TIFFRGBAImageGet(&reader, rgba.data(), width, height)) fail_tiff(name, source);

  StoredImage stored;
  stored.orientation = orientation;
  stored.image = Image(static_cast<int>(width), static_cast<int>(height));
  const uint32_t* in = rgba.data();
  for (int y = 0; y < stored.image.height(); ++y) {
    uint8_t* out = stored.image.row(y);
    for (uint32_t x = 0; x < width; ++x, ++in, out += 3) {
      out[0] = static_cast<uint8_t>(TIFFGetB(*in));
      out[1] = static_cast<uint8_t>(TIFFGetG(*in));
      out[2] = static_cast<uint8_t>(TIFFGetR(*in));
    }
  }
  return stored;
}

}  // namespace marrow::image::codecs
