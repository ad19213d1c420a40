// PNG through libpng. Its errors leave by longjmp, so every method that calls it holds no object with a
// destructor.
#include <fmt/core.h>
#include <png.h>

#include <algorithm>
#include <bit>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <new>
#include <utility>

#include "marrow/base/error.h"
#include "marrow/image/codecs/codecs.h"
#include "marrow/image/encode.h"

namespace marrow::image::codecs {
namespace {

constexpr int64_t kMaxDeflateRatio = 1032;  // what deflate can reach at best: 258 bytes from two bits
constexpr size_t kSignatureBytes = 8;
constexpr size_t kMaxMessage = 200;

class PngReader {
 public:
  explicit PngReader(Bytes bytes) : bytes_(bytes) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    if (info_ == nullptr) throw std::bad_alloc();
  }
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  bool read_header() {
    if (setjmp(escape_)) return false;
    png_set_read_fn(png_, this, on_read);
    png_set_user_limits(png_, kMaxImageSide, kMaxImageSide);
    // Texts, profiles and the like are skipped unread, so that they cannot be bombs.
    png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
    png_read_info(png_, info_);
    return true;
  }

  // What read_pixels reads best for `wanted`: of a grey file for one channel a single one, otherwise for one
  // or three channels blue, green, red; else all that the file has, alpha too.
  SampleFormat format_for(const SampleFormat& wanted) const {
    const int bits = std::min<int>(wanted.bits, png_get_bit_depth(png_, info_) == 16 ? 16 : 8);
    if (wanted.channels == 3 || (wanted.channels == 1 && channels() > 2)) return {3, bits};
    return {wanted.channels == 1 ? 1 : channels(), bits};
  }

  // Of a kind that format_for gives.
  bool read_pixels(MutablePixels out) {
    if (setjmp(escape_)) return false;
    png_set_expand(png_);                       // palette, 1, 2 and 4 bits
    if (out.bits == 8) png_set_scale_16(png_);  // round(value / 257)
    if (out.bits == 16 && std::endian::native == std::endian::little) png_set_swap(png_);
    if (out.channels == 1 || out.channels == 3) png_set_strip_alpha(png_);
    if (out.channels == 3) {
      png_set_gray_to_rgb(png_);
      png_set_bgr(png_);
    }
    int passes = png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    if (png_get_rowbytes(png_, info_) != out.row_bytes) png_error(png_, "unexpected row size");
    for (int pass = 0; pass < passes; ++pass) {
      for (int y = 0; y < out.height; ++y) png_read_row(png_, out.row(y), nullptr);
    }
    return true;
  }

  int64_t width() const { return png_get_image_width(png_, info_); }
  int64_t height() const { return png_get_image_height(png_, info_); }
  // Palettes looked up, transparency as alpha.
  int channels() const {
    const int type = png_get_color_type(png_, info_);
    const bool alpha = (type & PNG_COLOR_MASK_ALPHA) != 0 || png_get_valid(png_, info_, PNG_INFO_tRNS) != 0;
    return ((type & PNG_COLOR_MASK_COLOR) != 0 ? 3 : 1) + (alpha ? 1 : 0);
  }
  int64_t raw_bytes() const {
    return height() * ((width() * png_get_channels(png_, info_) * png_get_bit_depth(png_, info_) + 7) / 8);
  }
  const char* error() const { return error_; }

 private:
  [[noreturn]] static void on_error(png_structp png, png_const_charp message) {
    auto* self = static_cast<PngReader*>(png_get_error_ptr(png));
    std::snprintf(self->error_, kMaxMessage, "%s", message);
    std::longjmp(self->escape_, 1);
  }
  static void on_warning(png_structp, png_const_charp) {}
  static void on_read(png_structp png, png_bytep out, png_size_t count) {
    auto* self = static_cast<PngReader*>(png_get_io_ptr(png));
    if (count > self->bytes_.size() - self->position_) png_error(png, "the file ends early");
    std::memcpy(out, self->bytes_.data() + self->position_, count);
    self->position_ += count;
  }

  Bytes bytes_;
  size_t position_ = 0;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::jmp_buf escape_;
  char error_[kMaxMessage] = "";
};

// The eXIf chunk may also follow the pixels, where libpng's own reader no longer looks.
int png_orientation(Bytes png) {
  for (size_t at = kSignatureBytes; png.size() - at >= 12;) {
    size_t length = big_32(png, at);
    if (length > png.size() - at - 12) return 1;
    if (std::memcmp(png.data() + at + 4, "eXIf", 4) == 0)
      return exif_orientation(png.subspan(at + 8, length));
    at += length + 12;  // length, kind, content, checksum
  }
  return 1;
}

class PngWriter {
 public:
  PngWriter() {
    png_ = png_create_write_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    if (info_ == nullptr) throw std::bad_alloc();
  }
  ~PngWriter() { png_destroy_write_struct(&png_, &info_); }
  PngWriter(const PngWriter&) = delete;
  PngWriter& operator=(const PngWriter&) = delete;

  bool write(ConstPixels pixels) {
    if (setjmp(escape_)) return false;
    png_set_write_fn(png_, this, on_write, [](png_structp) {});
    png_set_IHDR(png_, info_, static_cast<png_uint_32>(pixels.width), static_cast<png_uint_32>(pixels.height),
                 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_set_compression_level(png_, 1);  // a photo hardly shrinks further, and the user waits
    png_write_info(png_, info_);
    png_set_bgr(png_);
    for (int y = 0; y < pixels.height; ++y) png_write_row(png_, pixels.row(y));
    png_write_end(png_, nullptr);
    return true;
  }

  std::string take_bytes() { return std::move(bytes_); }
  const char* error() const { return error_; }

 private:
  [[noreturn]] static void on_error(png_structp png, png_const_charp message) {
    auto* self = static_cast<PngWriter*>(png_get_error_ptr(png));
    std::snprintf(self->error_, kMaxMessage, "%s", message);
    std::longjmp(self->escape_, 1);
  }
  static void on_warning(png_structp, png_const_charp) {}
  static void on_write(png_structp png, png_bytep data, png_size_t count) {
    try {
      static_cast<PngWriter*>(png_get_io_ptr(png))->bytes_.append(reinterpret_cast<const char*>(data), count);
      return;
    } catch (const std::bad_alloc&) {  // must not pass through libpng
    }
    png_error(png, "there is not enough memory");
  }

  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::string bytes_;
  std::jmp_buf escape_;
  char error_[kMaxMessage] = "";
};

}  // namespace

StoredSize png_size(Bytes bytes, const std::string& name) {
  // IHDR is first and of fixed length.
  if (bytes.size() < 33 || std::memcmp(bytes.data() + 12, "IHDR", 4) != 0)
    fail(name, "PNG", "the header is missing");
  return {big_32(bytes, 16), big_32(bytes, 20), png_orientation(bytes)};
}

StoredImage read_png(Bytes bytes, const std::string& name, const SampleFormat& wanted) {
  constexpr const char* kind = "PNG";
  const StoredSize size = png_size(bytes, name);  // lets a huge claim be named as such
  check_size(name, kind, size.width, size.height, wanted);
  PngReader reader(bytes);
  if (!reader.read_header()) fail(name, kind, reader.error());
  if (reader.raw_bytes() / kMaxDeflateRatio > static_cast<int64_t>(bytes.size())) {
    fail(name, kind,
         fmt::format("{} bytes cannot hold the {} x {} pixels it claims", bytes.size(), reader.width(),
                     reader.height()));
  }
  StoredImage stored;
  const SampleFormat format = reader.format_for(wanted);
  if (wanted.channels != 1 && wanted.channels != 3 && format.channels != wanted.channels)
    fail_channels(name, kind, format.channels, wanted.channels);
  check_size(name, kind, size.width, size.height, format);  // three channels on the way to grey
  stored.image = Image(static_cast<int>(reader.width()), static_cast<int>(reader.height()), 0, format);
  if (!reader.read_pixels(stored.image.pixels())) fail(name, kind, reader.error());
  stored.orientation = size.orientation;
  return stored;
}

}  // namespace marrow::image::codecs

namespace marrow::image {

std::string encode_png(ConstPixels pixels) {
  codecs::PngWriter writer;
  if (!writer.write(pixels)) {
    throw Error(ErrorKind::kUnsupported, fmt::format("cannot be written as PNG: {}", writer.error()));
  }
  return writer.take_bytes();
}

}  // namespace marrow::image
