#include "marrow/image/decode.h"

#include <fmt/core.h>

#include <cstring>
#include <limits>
#include <string_view>
#include <utility>

#include "marrow/base/counted.h"
#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/image/codecs/codecs.h"
#include "marrow/image/convert.h"

namespace marrow::image {
namespace codecs {

void fail(const std::string& name, const char* kind, const std::string& what) {
  throw Error(ErrorKind::kFormat, fmt::format("{}: broken {}: {}", name, kind, what));
}

void fail_channels(const std::string& name, const char* kind, int64_t found, int wanted,
                   const std::string& how) {
  throw Error(ErrorKind::kUnsupported,
              fmt::format("{}: {} of {}{}; wanted {}", name, kind, counted(found, "channel"), how, wanted));
}

void check_size(const std::string& name, const char* kind, int64_t width, int64_t height,
                const SampleFormat& format) {
  if (width < 1 || height < 1) fail(name, kind, fmt::format("its size is {} x {} pixels", width, height));
  if (width > kMaxImageSide || height > kMaxImageSide) {
    throw Error(ErrorKind::kUnsupported,
                fmt::format("{}: {} of {} x {} pixels; at most {} a side can be read", name, kind, width,
                            height, kMaxImageSide));
  }
  if (width * height > kMaxImagePixels) {
    throw Error(ErrorKind::kUnsupported,
                fmt::format("{}: {} of {} x {} pixels; at most {} million can be read", name, kind, width,
                            height, kMaxImagePixels / 1'000'000));
  }
  if (width * height * static_cast<int64_t>(format.pixel_bytes()) > kMaxImageBytes) {
    throw Error(ErrorKind::kUnsupported,
                fmt::format("{}: {} of {} x {} pixels of {}; at most {} MB can be read", name, kind, width,
                            height, to_string(format), kMaxImageBytes / 1'000'000));
  }
}

}  // namespace codecs

namespace {

using codecs::Bytes;

bool has(Bytes bytes, size_t at, std::string_view magic) {
  return bytes.size() >= at + magic.size() && std::memcmp(bytes.data() + at, magic.data(), magic.size()) == 0;
}

// Of the kinds of file whose alpha, if any, is not read.
void require_one_or_three(const std::string& name, const char* kind, const DecodeOptions& options) {
  const int wanted = options.reading.samples.channels;
  if (wanted != 1 && wanted != 3)
    throw Error(
        ErrorKind::kUnsupported,
        fmt::format("{}: {} of 1 or 3 channels; wanted {}, which a TIFF may have", name, kind, wanted));
}

struct Format {
  const char* name;
  const char* suffix;  // empty where it is not read
  bool (*matches)(Bytes);
  // Null: known, but not read.
  codecs::StoredImage (*read)(Bytes, const std::string&, const DecodeOptions&) = nullptr;
  codecs::StoredSize (*size)(Bytes, const std::string&) = nullptr;
};

// The main brand of a file in MPEG-4's container, which holds images and films.
bool is_image_brand(Bytes bytes) {
  for (const char* brand : {"heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1", "avif", "avis"})
    if (has(bytes, 8, brand)) return true;
  return false;
}

// What else people hand over as an image, by how it begins.
struct Foreign {
  const char* what;
  bool (*matches)(Bytes);
};

constexpr const char* kVideo = "a video; take single images out of it first";
constexpr Foreign kForeign[] = {
    {kVideo, [](Bytes b) { return has(b, 4, "ftyp"); }},  // MP4, MOV, 3GP
    {kVideo,
     [](Bytes b) {
       return has(b, 4, "moov") || has(b, 4, "mdat") || has(b, 4, "wide") || has(b, 4, "pnot");  // MOV
     }},
    {kVideo, [](Bytes b) { return has(b, 0, "RIFF") && has(b, 8, "AVI "); }},
    {kVideo, [](Bytes b) { return has(b, 0, "\x1a\x45\xdf\xa3"); }},  // Matroska, WebM
    {kVideo, [](Bytes b) { return has(b, 0, "FLV\x01") || has(b, 0, "OggS"); }},
    {kVideo, [](Bytes b) { return has(b, 0, "\x30\x26\xb2\x75\x8e\x66\xcf\x11"); }},  // WMV
    {kVideo,
     [](Bytes b) {
       using namespace std::string_view_literals;
       return has(b, 0, "\0\0\1\xba"sv) || has(b, 0, "\0\0\1\xb3"sv);  // MPEG
     }},
    {kVideo, [](Bytes b) { return has(b, 0, "G") && has(b, 188, "G") && has(b, 376, "G"); }},  // MPEG-TS
    {"a PDF document", [](Bytes b) { return has(b, 0, "%PDF-"); }},
    {"a DICOM image; convert it to PNG first", [](Bytes b) { return has(b, 128, "DICM"); }},
    {"a Photoshop image; convert it to PNG first", [](Bytes b) { return has(b, 0, "8BPS"); }},
    {"an icon; convert it to PNG first",
     [](Bytes b) {
       using namespace std::string_view_literals;
       return has(b, 0, "\0\0\1\0"sv);
     }},
    {"a numpy array", [](Bytes b) { return has(b, 0, "\x93NUMPY"); }},
    {"a ZIP archive; unpack it first", [](Bytes b) { return has(b, 0, "PK\x03\x04"); }},
    {"a gzip archive; unpack it first", [](Bytes b) { return has(b, 0, "\x1f\x8b"); }},
    {"a pointer of Git LFS; 'git lfs pull' fetches the file itself",
     [](Bytes b) { return has(b, 0, "version https://git-lfs"); }},
    {"a web page, as a failed download leaves it",
     [](Bytes b) {
       return has(b, 0, "<!DOCTYPE html") || has(b, 0, "<!doctype html") || has(b, 0, "<html");
     }},
    {"an SVG drawing; convert it to PNG first", [](Bytes b) { return has(b, 0, "<svg"); }},
};

// Tried in order.
constexpr Format kFormats[] = {
    {"JPEG", ".jpg", [](Bytes b) { return has(b, 0, "\xff\xd8\xff"); },
     [](Bytes b, const std::string& name, const DecodeOptions& options) {
       require_one_or_three(name, "JPEG", options);
       return codecs::read_jpeg(b, name, options.reading.samples, options.fit);
     },
     codecs::jpeg_size},
    {"PNG", ".png", [](Bytes b) { return has(b, 0, "\x89PNG\r\n\x1a\n"); },
     [](Bytes b, const std::string& name, const DecodeOptions& options) {
       return codecs::read_png(b, name, options.reading.samples);
     },
     codecs::png_size},
    {"WebP", ".webp", [](Bytes b) { return has(b, 0, "RIFF") && has(b, 8, "WEBP"); },
     [](Bytes b, const std::string& name, const DecodeOptions& options) {
       require_one_or_three(name, "WebP", options);
       return codecs::read_webp(b, name);
     },
     codecs::webp_size},
    {"BMP", ".bmp", [](Bytes b) { return has(b, 0, "BM"); },
     [](Bytes b, const std::string& name, const DecodeOptions& options) {
       require_one_or_three(name, "BMP", options);
       return codecs::read_bmp(b, name);
     },
     codecs::bmp_size},
    {"TIFF", ".tif",
     [](Bytes b) {
       using namespace std::string_view_literals;
       return has(b, 0, "II*\0"sv) || has(b, 0, "MM\0*"sv) || has(b, 0, "II+\0"sv) || has(b, 0, "MM\0+"sv);
     },
     [](Bytes b, const std::string& name, const DecodeOptions& options) {
       return codecs::read_tiff(b, name, options.reading.samples);
     },
     codecs::tiff_size},
    {"GIF", "", [](Bytes b) { return has(b, 0, "GIF8"); }},
    {"HEIC or AVIF", "", [](Bytes b) { return has(b, 4, "ftyp") && is_image_brand(b); }},
    {"JPEG 2000", "", [](Bytes b) { return has(b, 4, "jP  ") || has(b, 0, "\xff\x4f\xff\x51"); }},
    {"JPEG XL", "", [](Bytes b) { return has(b, 0, "\xff\x0a") || has(b, 4, "JXL "); }},
    {
        "PFM or PNM",
        "",
        [](Bytes b) {
          return b.size() > 2 && b[0] == 'P' && std::strchr("123456Ff", b[1]) && b[1] != 0 && b[2] <= ' ';
        },
    },
};

// The format of an image that can be read. Throws for everything else.
const Format& format_of(std::span<const std::byte> bytes, const std::string& name) {
  if (bytes.empty()) throw Error(ErrorKind::kFormat, fmt::format("{}: the file is empty", name));
  Bytes data(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  for (const Format& format : kFormats) {
    if (!format.matches(data)) continue;
    if (format.read != nullptr) return format;
    throw Error(
        ErrorKind::kUnsupported,
        fmt::format("{}: {} is not a kind of image that can be read (JPEG, PNG, WebP, BMP and TIFF are)",
                    name, format.name));
  }
  for (const Foreign& foreign : kForeign)
    if (foreign.matches(data))
      throw Error(ErrorKind::kUnsupported,
                  fmt::format("{}: {}. Images are read: JPEG, PNG, WebP, BMP and TIFF", name, foreign.what));
  throw Error(ErrorKind::kFormat,
              fmt::format("{}: not an image: neither JPEG, PNG, WebP, BMP nor TIFF", name));
}

codecs::StoredSize stored_size(const Format& format, std::span<const std::byte> bytes,
                               const std::string& name) {
  return format.size(Bytes(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()), name);
}

// What a codec read, in the format that is wanted.
Image as_wanted(Image image, const std::string& name, const ImageReading& wanted) {
  const auto& [channels, bits] = wanted.samples;
  if (image.channels() == 3 && channels == 1) image = to_grey(image);
  if (image.channels() == 1 && channels == 3) image = repeat_channel(image, channels);
  if (bits == 16 && image.bits() == 8) {
    if (wanted.range != SampleRange())
      throw Error(ErrorKind::kUnsupported, fmt::format("{}: samples of 8 bits; wanted 16 bits from {} to {}",
                                                       name, wanted.range.low, wanted.range.high));
    return widen(image);
  }
  if (bits == 16) stretch(image, wanted.range);
  return image;
}

Size upright_size(const codecs::StoredSize& size) {
  const auto width = static_cast<int>(size.width), height = static_cast<int>(size.height);
  return codecs::turned(size.orientation) ? Size{height, width} : Size{width, height};
}

}  // namespace

DecodedImage decode_image(std::span<const std::byte> bytes, const std::string& name,
                          const DecodeOptions& options) {
  const Format& format = format_of(bytes, name);
  const Bytes data(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  codecs::StoredImage stored = format.read(data, name, options);
  DecodedImage decoded;
  decoded.file_bits = stored.image.bits();
  decoded.image =
      codecs::upright(as_wanted(std::move(stored.image), name, options.reading), stored.orientation);
  decoded.full =
      stored.full.width > 0 ? upright_size(stored.full) : Size{decoded.image.width(), decoded.image.height()};
  if (!stored.warning.empty())
    decoded.warning = fmt::format("{}: damaged {}: {}", name, format.name, stored.warning);
  return decoded;
}

DecodedImage decode_image_file(const std::filesystem::path& path, const DecodeOptions& options) {
  std::error_code ignored;
  // A film may be longer than any image.
  if (std::filesystem::file_size(path, ignored) > static_cast<uintmax_t>(kMaxImageFileBytes) && !ignored)
    format_of(MappedFile(path).bytes(), path.string());
  std::string content = read_file(path, static_cast<size_t>(kMaxImageFileBytes));
  return decode_image(std::as_bytes(std::span(content)), path.string(), options);
}

std::string_view usual_suffix(std::span<const std::byte> bytes, const std::string& name) {
  return format_of(bytes, name).suffix;
}

Size image_size(std::span<const std::byte> bytes, const std::string& name) {
  const Format& format = format_of(bytes, name);
  const codecs::StoredSize size = stored_size(format, bytes, name);
  codecs::check_size(name, format.name, size.width, size.height);
  return upright_size(size);
}

int64_t claimed_pixels(std::span<const std::byte> bytes, const std::string& name) {
  const codecs::StoredSize size = stored_size(format_of(bytes, name), bytes, name);
  if (size.width <= 0 || size.height <= 0) return 0;
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  return size.width > kMost / size.height ? kMost : size.width * size.height;
}

Size read_image_size(const std::filesystem::path& path) {
  const MappedFile file(path);  // only the pages with headers are read
  const std::string name = path.string();
  format_of(file.bytes(), name);
  if (file.bytes().size() > static_cast<size_t>(kMaxImageFileBytes))
    throw Error(ErrorKind::kFile, fmt::format("{}: {} bytes; at most {} are read here", name,
                                              file.bytes().size(), kMaxImageFileBytes));
  return image_size(file.bytes(), name);
}

}  // namespace marrow::image
