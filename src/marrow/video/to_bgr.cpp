#include "marrow/video/to_bgr.h"

extern "C" {
#include <libavutil/pixdesc.h>
}

#include <fmt/core.h>

#include "marrow/base/error.h"

namespace marrow::video {
namespace {

// Formats whose old names say that they use all of 0..255.
AVPixelFormat plain_format(int format, bool& full_range) {
  switch (format) {
    case AV_PIX_FMT_YUVJ420P:
      full_range = true;
      return AV_PIX_FMT_YUV420P;
    case AV_PIX_FMT_YUVJ422P:
      full_range = true;
      return AV_PIX_FMT_YUV422P;
    case AV_PIX_FMT_YUVJ444P:
      full_range = true;
      return AV_PIX_FMT_YUV444P;
    case AV_PIX_FMT_YUVJ440P:
      full_range = true;
      return AV_PIX_FMT_YUV440P;
    case AV_PIX_FMT_YUVJ411P:
      full_range = true;
      return AV_PIX_FMT_YUV411P;
    default:
      return static_cast<AVPixelFormat>(format);
  }
}

int coefficients_of(const AVFrame& frame) {
  switch (frame.colorspace) {
    case AVCOL_SPC_BT709:
      return SWS_CS_ITU709;
    case AVCOL_SPC_FCC:
      return SWS_CS_FCC;
    case AVCOL_SPC_SMPTE240M:
      return SWS_CS_SMPTE240M;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL:
      return SWS_CS_BT2020;
    default:
      return SWS_CS_ITU601;
  }
}

}  // namespace

image::Image BgrConverter::convert(const AVFrame& frame, Orientation orientation) {
  // Its quick way, without SWS_ACCURATE_RND: a quarter of the time, and the bytes that OpenCV's VideoCapture
  // gives.
  bool full_range = frame.color_range == AVCOL_RANGE_JPEG;
  const AVPixelFormat format = plain_format(frame.format, full_range);
  scaler_.reset(sws_getCachedContext(scaler_.release(), frame.width, frame.height, format, frame.width,
                                     frame.height, AV_PIX_FMT_BGR24, SWS_BICUBIC, nullptr, nullptr, nullptr));
  if (!scaler_) {
    const char* name = av_get_pix_fmt_name(format);
    throw Error(ErrorKind::kUnsupported,
                fmt::format("pixels of the kind '{}' are not converted", name != nullptr ? name : "unknown"));
  }
  const int* coefficients = sws_getCoefficients(coefficients_of(frame));
  sws_setColorspaceDetails(scaler_.get(), coefficients, full_range ? 1 : 0,
                           sws_getCoefficients(SWS_CS_ITU601), 1, 0, 1 << 16, 1 << 16);
  // Vector code may write behind rows, but not where they hold whole blocks.
  constexpr int kBlock = 64;
  if (orientation == Orientation() && frame.width % kBlock == 0) {
    image::Image image = image::Image::unfilled(frame.width, frame.height);
    uint8_t* const planes[4] = {image.row(0)};
    const int strides[4] = {static_cast<int>(image.row_bytes())};
    sws_scale(scaler_.get(), frame.data, frame.linesize, 0, frame.height, planes, strides);
    return image;
  }
  if (!bgr_ || bgr_->width != frame.width || bgr_->height != frame.height) {
    bgr_.reset(allocated(av_frame_alloc()));
    bgr_->format = AV_PIX_FMT_BGR24;
    bgr_->width = frame.width;
    bgr_->height = frame.height;
    // Rows with room behind them, into which vector code may write.
    if (av_frame_get_buffer(bgr_.get(), 0) < 0) throw std::bad_alloc();
  }
  sws_scale(scaler_.get(), frame.data, frame.linesize, 0, frame.height, bgr_->data, bgr_->linesize);
  return turned_upright({.data = bgr_->data[0],
                         .width = frame.width,
                         .height = frame.height,
                         .row_bytes = static_cast<size_t>(bgr_->linesize[0])},
                        orientation);
}

}  // namespace marrow::video
