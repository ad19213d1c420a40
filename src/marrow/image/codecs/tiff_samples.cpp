// TIFF as the samples that the file stores: bands of any number, 16 bits.
#include <fmt/core.h>

#include <algorithm>
#include <vector>

#include "marrow/base/error.h"
#include "marrow/image/codecs/tiff_file.h"
#include "marrow/image/convert.h"

namespace marrow::image::codecs {
namespace {

constexpr const char* kTiff = "TIFF";
constexpr int kMaxPages = 1024;  // smaller copies and masks too

// What a page says of its samples.
struct Page {
  tdir_t index = 0;
  uint32_t width = 0, height = 0;
  uint16_t samples = 1, bits = 1, number = SAMPLEFORMAT_UINT, photometric = PHOTOMETRIC_MINISBLACK;
  bool planar = false;
};

Page page_of(TIFF* tiff) {
  Page page;
  page.index = TIFFCurrentDirectory(tiff);
  TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &page.width);
  TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &page.height);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &page.samples);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &page.bits);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &page.number);
  TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &page.photometric);
  uint16_t planar = PLANARCONFIG_CONTIG;
  TIFFGetFieldDefaulted(tiff, TIFFTAG_PLANARCONFIG, &planar);
  page.planar = planar == PLANARCONFIG_SEPARATE && page.samples > 1;
  return page;
}

// A smaller copy of another page, or a mask.
bool is_aside(TIFF* tiff) {
  uint32_t kind = 0;
  TIFFGetFieldDefaulted(tiff, TIFFTAG_SUBFILETYPE, &kind);
  return (kind & (FILETYPE_REDUCEDIMAGE | FILETYPE_MASK)) != 0;
}

[[noreturn]] void fail_kind(const std::string& name, const std::string& what) {
  throw Error(ErrorKind::kUnsupported,
              fmt::format("{}: TIFF of {}; unsigned samples of 8 or 16 bits can be read", name, what));
}

void require_plain(const std::string& name, const Page& page) {
  const char* number = page.number == SAMPLEFORMAT_IEEEFP ? "floating-point"
                       : page.number == SAMPLEFORMAT_INT  ? "signed"
                       : page.number == SAMPLEFORMAT_UINT || page.number == SAMPLEFORMAT_VOID ? ""
                                                                                              : "complex";
  if (*number != '\0') fail_kind(name, fmt::format("{} samples of {} bits", number, page.bits));
  if (page.bits != 8 && page.bits != 16) fail_kind(name, fmt::format("samples of {} bits", page.bits));
  const auto p = page.photometric;
  if (p != PHOTOMETRIC_MINISBLACK && p != PHOTOMETRIC_MINISWHITE && p != PHOTOMETRIC_RGB &&
      p != PHOTOMETRIC_SEPARATED)
    fail_kind(name, p == PHOTOMETRIC_PALETTE ? "a palette"
                    : p == PHOTOMETRIC_YCBCR ? "luma and chroma"
                                             : "an unusual colour space");
}

// The pages that make the channels; the file is at the first one.
std::vector<Page> pages_of(TIFF* tiff, const TiffSource& source, const std::string& name, int wanted) {
  std::vector<Page> pages;
  int64_t channels = 0;
  for (int seen = 0;; ++seen) {
    if (seen == kMaxPages)
      throw Error(
          ErrorKind::kUnsupported,
          fmt::format("{}: TIFF of more than {} pages; at most that many are looked at", name, kMaxPages));
    if (!is_aside(tiff)) {
      pages.push_back(page_of(tiff));
      channels += pages.back().samples;
    }
    if (TIFFReadDirectory(tiff) == 0) break;
  }
  if (source.error[0] != '\0') fail_tiff(name, source);
  if (channels != wanted)
    fail_channels(name, kTiff, channels, wanted,
                  pages.size() > 1 ? fmt::format(" in {} pages", pages.size()) : "");
  for (size_t i = 1; i < pages.size(); ++i) {
    const Page &page = pages[i], &first = pages.front();
    const std::string which = fmt::format("{}: TIFF page {} of {}: ", name, i + 1, pages.size());
    if (page.width != first.width || page.height != first.height)
      throw Error(ErrorKind::kUnsupported, fmt::format("{}{} x {} pixels, the first has {} x {}", which,
                                                       page.width, page.height, first.width, first.height));
    if (page.bits != first.bits)
      throw Error(ErrorKind::kUnsupported,
                  fmt::format("{}samples of {} bits, the first has {}", which, page.bits, first.bits));
  }
  return pages;
}

// Some rows, or a rectangle, of all samples or of one plane.
struct Block {
  std::vector<uint8_t> bytes;
  uint32_t width = 0, height = 0;
};

// Where a page's samples go.
struct Target {
  Image& image;
  int first = 0;          // the channel of its first sample
  int count = 0;          // samples that are taken
  bool reversed = false;  // red, green, blue become blue, green, red
};

class PageReader {
 public:
  // `tiff` is at the page.
  PageReader(TIFF* tiff, const TiffSource& source, const std::string& name, const Page& page)
      : tiff_(tiff), source_(source), name_(name), page_(page), tiled_(TIFFIsTiled(tiff) != 0) {
    require_plain(name, page);
    require_bytes(tiff, name, source.bytes, page.samples);
    require_small_tiles(tiff, name);
    if (tiled_) {
      TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &block_.width);
      TIFFGetField(tiff, TIFFTAG_TILELENGTH, &block_.height);
    } else {
      block_.width = page.width;
      uint32_t rows = page.height;
      TIFFGetFieldDefaulted(tiff, TIFFTAG_ROWSPERSTRIP, &rows);
      block_.height = std::min(rows, page.height);
    }
    if (block_.width < 1 || block_.height < 1 || block_.width > kMaxImageSide ||
        block_.height > kMaxImageSide || byte_count(block_.height) > kMaxImageBytes)
      fail(name, kTiff, fmt::format("parts of {} x {} pixels", block_.width, block_.height));
    block_.bytes.resize(static_cast<size_t>(byte_count(block_.height)));
  }

  void read(const Target& target) {
    const int planes = page_.planar ? target.count : 1;
    for (int plane = 0; plane < planes; ++plane)
      for (uint32_t y = 0; y < page_.height; y += block_.height)
        for (uint32_t x = 0; x < page_.width; x += block_.width) {
          read_block(x, y, static_cast<uint16_t>(plane));
          if (page_.bits == 8)
            copy<uint8_t, uint8_t>(target, x, y, plane);
          else if (target.image.bits() == 16)
            copy<uint16_t, uint16_t>(target, x, y, plane);
          else
            copy<uint16_t, uint8_t>(target, x, y, plane);
        }
  }

 private:
  int in_block() const { return page_.planar ? 1 : page_.samples; }
  int64_t byte_count(uint32_t rows) const {
    return int64_t{block_.width} * rows * in_block() * (page_.bits / 8);
  }

  void read_block(uint32_t x, uint32_t y, uint16_t plane) {
    const uint32_t rows = tiled_ ? block_.height : std::min(block_.height, page_.height - y);
    const auto wanted = static_cast<tmsize_t>(byte_count(rows));
    const uint32_t index =
        tiled_ ? TIFFComputeTile(tiff_, x, y, 0, plane) : TIFFComputeStrip(tiff_, y, plane);
    // Of a part that the file does not state, libtiff reads the beginning of the file.
    const bool stated = TIFFGetStrileOffset(tiff_, index) > 0 && TIFFGetStrileByteCount(tiff_, index) > 0;
    const tmsize_t found = !stated  ? 0
                           : tiled_ ? TIFFReadEncodedTile(tiff_, index, block_.bytes.data(), wanted)
                                    : TIFFReadEncodedStrip(tiff_, index, block_.bytes.data(), wanted);
    if (found < 0) fail_tiff(name_, source_);
    if (found != wanted) fail(name_, kTiff, "a part of the image is missing");
  }

  template <class From, class To>
  void copy(const Target& target, uint32_t x0, uint32_t y0, int plane) const {
    const uint32_t width = std::min(block_.width, page_.width - x0);
    const uint32_t height = std::min(block_.height, page_.height - y0);
    const auto step = static_cast<size_t>(in_block());
    const int from = page_.planar ? plane : 0, count = page_.planar ? 1 : target.count;
    const bool inverted = page_.photometric == PHOTOMETRIC_MINISWHITE;
    for (uint32_t y = 0; y < height; ++y) {
      const From* in = reinterpret_cast<const From*>(block_.bytes.data()) + size_t{y} * block_.width * step;
      To* out = target.image.samples<To>(static_cast<int>(y0 + y)) + size_t{x0} * target.image.channels();
      for (uint32_t x = 0; x < width; ++x, in += step, out += target.image.channels())
        for (int c = 0; c < count; ++c) {
          const From value = inverted ? static_cast<From>(~in[c]) : in[c];
          const int channel = target.first + from + c;
          out[target.reversed ? 2 - channel : channel] =
              sizeof(From) > sizeof(To) ? static_cast<To>(narrow_sample(value)) : static_cast<To>(value);
        }
    }
  }

  TIFF* tiff_;
  const TiffSource& source_;
  const std::string& name_;
  const Page page_;
  const bool tiled_;
  Block block_;
};

}  // namespace

StoredImage read_tiff_samples(TIFF* tiff, const TiffSource& source, const std::string& name,
                              const SampleFormat& wanted) {
  StoredImage stored;
  uint16_t orientation = 1;
  TIFFGetFieldDefaulted(tiff, TIFFTAG_ORIENTATION, &orientation);
  stored.orientation = orientation;
  const bool ordinary = wanted.channels == 1 || wanted.channels == 3;
  std::vector<Page> pages =
      ordinary ? std::vector{page_of(tiff)} : pages_of(tiff, source, name, wanted.channels);
  const Page& first = pages.front();
  check_size(name, kTiff, first.width, first.height, wanted);
  // Three bands without a name are colours for who wants three.
  const bool colour =
      ordinary && (first.photometric == PHOTOMETRIC_RGB || (wanted.channels == 3 && first.samples == 3));
  if (colour ? first.samples < 3 : ordinary && first.samples > kGreyAndAlpha)
    fail_channels(name, kTiff, first.samples, wanted.channels);
  for (const Page& page : pages) require_plain(name, page);
  const SampleFormat format = {ordinary ? (colour ? 3 : 1) : wanted.channels,
                               std::min<int>(wanted.bits, first.bits)};
  check_size(name, kTiff, first.width, first.height, format);  // three channels on the way to grey
  int channel = 0;
  for (const Page& page : pages) {
    if (TIFFCurrentDirectory(tiff) != page.index && TIFFSetDirectory(tiff, page.index) == 0)
      fail_tiff(name, source);
    PageReader reader(tiff, source, name, page);
    if (channel == 0)
      stored.image = Image(static_cast<int>(page.width), static_cast<int>(page.height), 0, format);
    const int count = ordinary ? format.channels : page.samples;
    reader.read({stored.image, channel, count, colour});
    channel += count;
  }
  return stored;
}

}  // namespace marrow::image::codecs
