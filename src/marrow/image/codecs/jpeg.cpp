// JPEG through libjpeg-turbo. Its errors leave by longjmp, so every method that calls it holds no object with
// a destructor.
#include <fmt/core.h>

#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

// After cstdio, which they need.
#include <jerror.h>
#include <jpeglib.h>

#include "marrow/base/error.h"
#include "marrow/image/codecs/codecs.h"
#include "marrow/image/encode.h"

namespace marrow::image::codecs {
namespace {

// A block of 64 samples costs at least one bit, and a colour image has 1.5 blocks per 64 pixels or more; a
// file with fewer bytes than this allows is nearly all missing, and its claimed size is not worth the memory.
constexpr int64_t kMaxPixelsPerByte = 1024;

// Each scan of a progressive file costs a pass over the image. Encoders write about ten.
constexpr int kMaxScans = 100;

struct Messages {
  jpeg_error_mgr base;  // first: libjpeg knows only this
  std::jmp_buf escape;
  char error[JMSG_LENGTH_MAX];
  char warning[JMSG_LENGTH_MAX];  // the first
  bool ended_early;
  double share;  // of the rows, from the top, of which there was something before the warning
};

Messages& messages(j_common_ptr info) {
  return *reinterpret_cast<Messages*>(info->err);
}

[[noreturn]] void on_error(j_common_ptr info) {
  info->err->format_message(info, messages(info).error);
  std::longjmp(messages(info).escape, 1);
}

void on_message(j_common_ptr info, int level) {
  if (level >= 0 || info->err->num_warnings++ > 0) return;  // not a warning, or not the first
  Messages& m = messages(info);
  info->err->format_message(info, m.warning);
  m.ended_early = info->err->msg_code == JWRN_JPEG_EOF;
  if (!info->is_decompressor) return;
  const auto* reader = reinterpret_cast<j_decompress_ptr>(info);
  // Of several scans the first one says something of every row.
  m.share = reader->input_scan_number > 1 || reader->total_iMCU_rows == 0
                ? 1
                : static_cast<double>(reader->input_iMCU_row) / reader->total_iMCU_rows;
}

void on_progress(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMaxScans) return;
  std::snprintf(messages(info).error, JMSG_LENGTH_MAX, "more than %d scans", kMaxScans);
  std::longjmp(messages(info).escape, 1);
}

void silence(j_common_ptr) {}

jpeg_error_mgr* set_up(Messages& m) {
  std::memset(&m, 0, sizeof m);
  jpeg_std_error(&m.base);
  m.base.error_exit = on_error;
  m.base.emit_message = on_message;
  m.base.output_message = silence;
  return &m.base;
}

class Reader {
 public:
  Reader() {
    std::memset(&info_, 0, sizeof info_);
    info_.err = set_up(messages_);
    progress_ = {};
    progress_.progress_monitor = on_progress;
  }
  ~Reader() { jpeg_destroy_decompress(&info_); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  bool read_header(Bytes bytes) {
    if (setjmp(messages_.escape)) return false;
    jpeg_create_decompress(&info_);
    info_.progress = &progress_;
    jpeg_mem_src(&info_, bytes.data(), bytes.size());
    jpeg_save_markers(&info_, JPEG_APP0 + 1, 0xffff);  // EXIF
    jpeg_read_header(&info_, TRUE);
    return true;
  }

  // Decode at 1/2, 1/4 or 1/8: the least that is not below the image shrunk into `fit` (as it is stored,
  // not upright).
  void shrink_to_fit(Size fit) {
    constexpr int kMostReduction = 8;
    const auto allows = [&](int64_t reduction) {
      return width() >= reduction * fit.width || height() >= reduction * fit.height;
    };
    int reduction = 1;
    while (reduction < kMostReduction && allows(2 * reduction)) reduction *= 2;
    info_.scale_num = 1;
    info_.scale_denom = static_cast<unsigned>(reduction);
  }

  // Four channels (CMYK, also when stored as YCCK), grey, or blue, green, red.
  bool start(bool grey) {
    if (setjmp(messages_.escape)) return false;
    info_.out_color_space = is_cmyk() ? JCS_CMYK : grey ? JCS_GRAYSCALE : JCS_EXT_BGR;
    jpeg_start_decompress(&info_);
    return true;
  }

  bool read_row(uint8_t* row) {
    if (setjmp(messages_.escape)) return false;
    jpeg_read_scanlines(&info_, &row, 1);
    return true;
  }

  bool is_cmyk() const { return info_.num_components == 4; }
  bool is_inverted_cmyk() const { return info_.saw_Adobe_marker; }
  int64_t width() const { return info_.image_width; }
  int64_t height() const { return info_.image_height; }
  // What start() settles.
  int out_width() const { return static_cast<int>(info_.output_width); }
  int out_height() const { return static_cast<int>(info_.output_height); }
  const char* error() const { return messages_.error; }

  int orientation() const {
    constexpr size_t kPrefix = 6;  // "Exif" and two zero bytes
    for (jpeg_saved_marker_ptr marker = info_.marker_list; marker != nullptr; marker = marker->next) {
      if (marker->data_length > kPrefix && std::memcmp(marker->data, "Exif\0", kPrefix - 1) == 0) {
        return exif_orientation({marker->data + kPrefix, marker->data_length - kPrefix});
      }
    }
    return 1;
  }

  // The file ends before the first row of blocks is whole.
  bool is_missing() const { return messages_.ended_early && messages_.share == 0; }

  std::string warning() const {
    if (messages_.base.num_warnings == 0) return "";
    if (!messages_.ended_early) return messages_.warning;
    if (messages_.share == 1) return "the file ends early; the image is coarse or partly grey";
    return fmt::format("the file ends early, after about {:.0f} of {} rows; {}",
                       messages_.share * info_.output_height, info_.output_height,
                       messages_.share < 0.5 ? "most of the image is missing, and grey" : "the rest is grey");
  }

 private:
  jpeg_decompress_struct info_;
  jpeg_progress_mgr progress_;
  Messages messages_;
};

// Adobe stores CMYK inverted: 255 means no ink. Each ink then darkens its colour, and black all of them.
void cmyk_to_bgr(const uint8_t* cmyk, int width, bool inverted, uint8_t* bgr) {
  for (int x = 0; x < width; ++x, cmyk += 4, bgr += 3) {
    for (int c = 0; c < 3; ++c) {
      int colour = inverted ? cmyk[c] : 255 - cmyk[c];
      int black = inverted ? cmyk[3] : 255 - cmyk[3];
      bgr[2 - c] = static_cast<uint8_t>((colour * black + 127) / 255);
    }
  }
}

class Writer {
 public:
  Writer() {
    std::memset(&info_, 0, sizeof info_);
    info_.err = set_up(messages_);
  }
  ~Writer() {
    jpeg_destroy_compress(&info_);
    std::free(buffer_);
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  bool write(ConstPixels pixels, int quality, bool subsample_chroma) {
    if (setjmp(messages_.escape)) return false;
    jpeg_create_compress(&info_);
    jpeg_mem_dest(&info_, &buffer_, &size_);
    info_.image_width = static_cast<JDIMENSION>(pixels.width);
    info_.image_height = static_cast<JDIMENSION>(pixels.height);
    info_.input_components = 3;
    info_.in_color_space = JCS_EXT_BGR;
    jpeg_set_defaults(&info_);
    jpeg_set_quality(&info_, quality, TRUE);
    if (!subsample_chroma) info_.comp_info[0].h_samp_factor = info_.comp_info[0].v_samp_factor = 1;
    jpeg_start_compress(&info_, TRUE);
    for (int y = 0; y < pixels.height; ++y) {
      JSAMPROW row = const_cast<uint8_t*>(pixels.row(y));
      jpeg_write_scanlines(&info_, &row, 1);
    }
    jpeg_finish_compress(&info_);
    return true;
  }

  std::string bytes() const { return {reinterpret_cast<const char*>(buffer_), size_}; }
  const char* error() const { return messages_.error; }

 private:
  jpeg_compress_struct info_;
  Messages messages_;
  unsigned char* buffer_ = nullptr;
  unsigned long size_ = 0;
};

}  // namespace

StoredImage read_jpeg(Bytes bytes, const std::string& name, const SampleFormat& wanted, Size fit) {
  constexpr const char* kind = "JPEG";
  Reader reader;
  if (!reader.read_header(bytes)) fail(name, kind, reader.error());
  check_size(name, kind, reader.width(), reader.height());
  if (reader.width() * reader.height() > kMaxPixelsPerByte * static_cast<int64_t>(bytes.size())) {
    fail(name, kind,
         fmt::format("{} bytes cannot hold the {} x {} pixels it claims", bytes.size(), reader.width(),
                     reader.height()));
  }
  StoredImage stored;
  stored.orientation = reader.orientation();
  if (fit.width > 0 && fit.height > 0)
    reader.shrink_to_fit(turned(stored.orientation) ? Size{fit.height, fit.width} : fit);
  const bool grey = wanted.channels == 1 && !reader.is_cmyk();
  if (!reader.start(grey)) fail(name, kind, reader.error());
  stored.full = {reader.width(), reader.height(), stored.orientation};
  stored.image = Image::unfilled(reader.out_width(), reader.out_height(), {grey ? 1 : 3, 8});
  std::vector<uint8_t> cmyk(reader.is_cmyk() ? static_cast<size_t>(stored.image.width()) * 4 : 0);
  for (int y = 0; y < stored.image.height(); ++y) {
    uint8_t* row = stored.image.row(y);
    if (!reader.read_row(reader.is_cmyk() ? cmyk.data() : row)) fail(name, kind, reader.error());
    if (reader.is_cmyk()) cmyk_to_bgr(cmyk.data(), stored.image.width(), reader.is_inverted_cmyk(), row);
  }
  if (reader.is_missing()) fail(name, kind, "the file ends before the first rows of the image");
  stored.warning = reader.warning();
  return stored;
}

StoredSize jpeg_size(Bytes bytes, const std::string& name) {
  Reader reader;
  if (!reader.read_header(bytes)) fail(name, "JPEG", reader.error());
  return {reader.width(), reader.height(), reader.orientation()};
}

}  // namespace marrow::image::codecs

namespace marrow::image {

std::string encode_jpeg(ConstPixels pixels, const JpegOptions& options) {
  codecs::Writer writer;
  if (!writer.write(pixels, options.quality, options.subsample_chroma)) {
    throw Error(ErrorKind::kUnsupported, fmt::format("cannot be written as JPEG: {}", writer.error()));
  }
  return writer.bytes();
}

}  // namespace marrow::image
