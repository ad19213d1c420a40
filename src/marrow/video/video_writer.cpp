#include "marrow/video/video_writer.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <string_view>
#include <system_error>

#include "marrow/base/error.h"
#include "marrow/video/libav.h"

namespace marrow::video {
namespace {

namespace fs = std::filesystem;

constexpr int kLargestSide = 16384;
constexpr int kClock = 90000;  // stamps a second

const AVCodec* encoder_of(const std::string& wanted) {
  if (!wanted.empty()) {
    const AVCodec* codec = avcodec_find_encoder_by_name(wanted.c_str());
    if (codec == nullptr)
      throw Error(ErrorKind::kUnsupported, fmt::format("this machine's FFmpeg has no encoder '{}'", wanted));
    return codec;
  }
  for (const char* name : {"libx264", "libopenh264", "mpeg4"})
    if (const AVCodec* codec = avcodec_find_encoder_by_name(name)) return codec;
  throw Error(ErrorKind::kUnsupported, "this machine's FFmpeg has no encoder for H.264 or MPEG-4");
}

// 4:2:0 where the encoder takes it, in the range that it wants.
AVPixelFormat pixels_of(const AVCodec& codec) {
  if (codec.pix_fmts == nullptr) return AV_PIX_FMT_YUV420P;
  for (const AVPixelFormat* format = codec.pix_fmts; *format != AV_PIX_FMT_NONE; ++format)
    if (*format == AV_PIX_FMT_YUV420P) return *format;
  return codec.pix_fmts[0];
}

}  // namespace

struct VideoWriter::Parts {
  AVFormatContext* container = nullptr;
  AVStream* stream = nullptr;
  CodecPtr encoder;
  ScalerPtr scaler;
  FramePtr frame;
  PacketPtr packet;

  ~Parts() {
    if (container == nullptr) return;
    avio_closep(&container->pb);
    avformat_free_context(container);
  }
};

VideoWriter::VideoWriter(const fs::path& path, const WriteOptions& options)
    : path_(path), options_(options), parts_(std::make_unique<Parts>()) {
  quieten_libav();
  const auto is_side = [](int side) { return side >= 2 && side <= kLargestSide; };
  if (!is_side(options.size.width) || !is_side(options.size.height))
    throw Error(ErrorKind::kUsage,
                fmt::format("{}: a video of {}x{} pixels; a side has 2 to {}", path.string(),
                            options.size.width, options.size.height, kLargestSide));
  // Chroma has half the size.
  options_.size = {options.size.width & ~1, options.size.height & ~1};
  unfinished_ = path.parent_path() / ("." + path.stem().string() + ".unfinished" + path.extension().string());
  Parts& parts = *parts_;
  avformat_alloc_output_context2(&parts.container, nullptr, nullptr, unfinished_.c_str());
  if (parts.container == nullptr)
    throw Error(ErrorKind::kUnsupported, fmt::format("{}: no kind of video has the suffix '{}'",
                                                     path.string(), path.extension().string()));
  const AVCodec* codec = encoder_of(options.codec);
  parts.encoder.reset(allocated(avcodec_alloc_context3(codec)));
  AVCodecContext& encoder = *parts.encoder;
  encoder.width = options_.size.width;
  encoder.height = options_.size.height;
  encoder.pix_fmt = pixels_of(*codec);
  encoder.framerate = av_d2q(options.frame_rate, 100000);
  // AVI has a place for every frame at its rate, and MPEG-4 counts no finer than thousandths.
  if (std::string_view(parts.container->oformat->name) == "avi")
    encoder.time_base = av_inv_q(encoder.framerate);
  else
    encoder.time_base = codec->id == AV_CODEC_ID_H264 ? AVRational{1, kClock} : AVRational{1, 1000};
  encoder.color_range = codec->id == AV_CODEC_ID_MJPEG ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
  encoder.colorspace = AVCOL_SPC_SMPTE170M;
  encoder.gop_size = static_cast<int>(std::clamp(2 * options.frame_rate, 12.0, 250.0));
  if (codec->id != AV_CODEC_ID_H264) encoder.flags |= AV_CODEC_FLAG_QSCALE;
  encoder.global_quality = 4 * FF_QP2LAMBDA;
  if ((parts.container->oformat->flags & AVFMT_GLOBALHEADER) != 0)
    encoder.flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  AvOptions settings;
  if (codec->id == AV_CODEC_ID_H264) {
    settings.set("preset", "veryfast");
    settings.set("crf", "23");
  }
  if (const int code = avcodec_open2(&encoder, codec, settings.get()); code < 0)
    throw Error(ErrorKind::kUnsupported, fmt::format("{}: the encoder '{}' cannot be used: {}", path.string(),
                                                     codec->name, av_error_text(code)));
  parts.stream = allocated(avformat_new_stream(parts.container, nullptr));
  parts.stream->time_base = encoder.time_base;
  parts.stream->avg_frame_rate = encoder.framerate;
  avcodec_parameters_from_context(parts.stream->codecpar, &encoder);
  parts.packet.reset(allocated(av_packet_alloc()));
  parts.frame.reset(allocated(av_frame_alloc()));
  parts.frame->format = encoder.pix_fmt;
  parts.frame->width = encoder.width;
  parts.frame->height = encoder.height;
  if (av_frame_get_buffer(parts.frame.get(), 0) < 0) throw std::bad_alloc();
  lock_.emplace(unfinished_, "writes this video");
  if (const int code =
          avio_open(&parts.container->pb, ("file:" + unfinished_.string()).c_str(), AVIO_FLAG_WRITE);
      code < 0)
    fail(code);
  AvOptions container_settings;
  // What a browser needs first stands first.
  if (path.extension() == ".mp4" || path.extension() == ".mov")
    container_settings.set("movflags", "+faststart");
  if (const int code = avformat_write_header(parts.container, container_settings.get()); code < 0) fail(code);
}

VideoWriter::~VideoWriter() {
  if (!parts_) return;
  parts_.reset();
  std::error_code ignored;
  fs::remove(unfinished_, ignored);
}

void VideoWriter::fail(int code) const {
  throw Error(ErrorKind::kFile,
              fmt::format("{}: cannot be written: {}", path_.string(), av_error_text(code)));
}

void VideoWriter::write(const image::Image& picture) {
  write(picture, static_cast<double>(frames_) / options_.frame_rate);
}

void VideoWriter::write(const image::Image& picture, double seconds) {
  Parts& parts = *parts_;
  const AVCodecContext& encoder = *parts.encoder;
  parts.scaler.reset(sws_getCachedContext(parts.scaler.release(), picture.width(), picture.height(),
                                          AV_PIX_FMT_BGR24, encoder.width, encoder.height, encoder.pix_fmt,
                                          SWS_BILINEAR | SWS_ACCURATE_RND, nullptr, nullptr, nullptr));
  if (!parts.scaler) fail(AVERROR(EINVAL));
  const int* colours = sws_getCoefficients(SWS_CS_ITU601);
  sws_setColorspaceDetails(parts.scaler.get(), colours, 1, colours,
                           encoder.color_range == AVCOL_RANGE_JPEG ? 1 : 0, 0, 1 << 16, 1 << 16);
  if (av_frame_make_writable(parts.frame.get()) < 0) throw std::bad_alloc();
  const uint8_t* rows[] = {picture.row(0)};
  const int row_bytes[] = {static_cast<int>(picture.row_bytes())};
  sws_scale(parts.scaler.get(), rows, row_bytes, 0, picture.height(), parts.frame->data,
            parts.frame->linesize);
  const double ticks = seconds / av_q2d(encoder.time_base);
  constexpr double kMostTicks = 1e15;
  const int64_t stamp = std::isfinite(ticks) ? std::llround(std::clamp(ticks, 0.0, kMostTicks)) : 0;
  parts.frame->pts = last_stamp_ = std::max(stamp, last_stamp_ + 1);
  if (const int code = avcodec_send_frame(parts.encoder.get(), parts.frame.get()); code < 0) fail(code);
  ++frames_;
  drain(false);
}

void VideoWriter::drain(bool flush) {
  Parts& parts = *parts_;
  if (flush) avcodec_send_frame(parts.encoder.get(), nullptr);
  for (;;) {
    const int code = avcodec_receive_packet(parts.encoder.get(), parts.packet.get());
    if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return;
    if (code < 0) fail(code);
    // Without a length the last frame would last no time at all.
    if (parts.packet->duration == 0)
      parts.packet->duration = std::llround(1 / (av_q2d(parts.encoder->time_base) * options_.frame_rate));
    av_packet_rescale_ts(parts.packet.get(), parts.encoder->time_base, parts.stream->time_base);
    parts.packet->stream_index = parts.stream->index;
    if (const int written = av_interleaved_write_frame(parts.container, parts.packet.get()); written < 0)
      fail(written);
  }
}

void VideoWriter::finish() {
  drain(true);
  if (const int code = av_write_trailer(parts_->container); code < 0) fail(code);
  if (const int code = avio_closep(&parts_->container->pb); code < 0) fail(code);
  parts_.reset();
  std::error_code error;
  fs::rename(unfinished_, path_, error);
  if (error)
    throw Error(ErrorKind::kFile, fmt::format("{}: cannot be written: {}", path_.string(), error.message()));
}

}  // namespace marrow::video
