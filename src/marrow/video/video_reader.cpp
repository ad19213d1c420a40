// Files and streams: packets in, frames out.
#include <fmt/core.h>

#include <algorithm>
#include <exception>
#include <thread>
#include <utility>

#include "marrow/base/error.h"
#include "marrow/video/demuxer.h"
#include "marrow/video/to_bgr.h"

namespace marrow::video {
namespace {

constexpr int64_t kMostPixels = int64_t{8192} * 8192;
constexpr int kMostBrokenBehind = 100;  // frames, once all packets are in the decoder

int decoding_threads(const ReadOptions& options) {
  if (options.threads > 0) return options.threads;
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()) / 2);
}

CodecPtr open_decoder(const Demuxer& demuxer, const ReadOptions& options) {
  const AVCodecParameters& parameters = *demuxer.stream().codecpar;
  const AVCodec* codec = avcodec_find_decoder(parameters.codec_id);
  if (codec == nullptr)
    throw Error(ErrorKind::kUnsupported, fmt::format("{}: video of the kind '{}' is not decoded",
                                                     demuxer.name(), avcodec_get_name(parameters.codec_id)));
  CodecPtr decoder(allocated(avcodec_alloc_context3(codec)));
  int code = avcodec_parameters_to_context(decoder.get(), &parameters);
  decoder->max_pixels = kMostPixels;
  decoder->thread_count = decoding_threads(options);
  // Threads that take a frame each add a frame of delay each.
  decoder->thread_type = options.live ? FF_THREAD_SLICE : FF_THREAD_FRAME | FF_THREAD_SLICE;
  if (options.live) decoder->flags |= AV_CODEC_FLAG_LOW_DELAY;
  if (code >= 0) code = avcodec_open2(decoder.get(), codec, nullptr);
  if (code < 0)
    throw Error(ErrorKind::kFormat,
                fmt::format("{}: the video cannot be decoded: {}", demuxer.name(), av_error_text(code)));
  return decoder;
}

class VideoReader : public FrameReader {
 public:
  VideoReader(const std::string& source, Opening opening, const ReadOptions& options)
      : demuxer_(source, opening, options),
        stride_(options.stride),
        decoder_(open_decoder(demuxer_, options)),
        packet_(allocated(av_packet_alloc())),
        frame_(allocated(av_frame_alloc())) {
    size_t bytes = 0;
    if (const uint8_t* matrix =
            av_stream_get_side_data(&demuxer_.stream(), AV_PKT_DATA_DISPLAYMATRIX, &bytes))
      orientation_ = orientation_of({reinterpret_cast<const int32_t*>(matrix), bytes / sizeof(int32_t)});
  }

  std::optional<VideoFrame> next() override {
    while (decode()) {
      ++number_;
      const double seconds = seconds_of(*frame_);
      if ((number_ - 1) % stride_ != 0) continue;
      // A picture of which only a part was there is shown as it is, as players do.
      Orientation orientation = orientation_;
      if (const AVFrameSideData* turned = av_frame_get_side_data(frame_.get(), AV_FRAME_DATA_DISPLAYMATRIX))
        orientation =
            orientation_of({reinterpret_cast<const int32_t*>(turned->data), turned->size / sizeof(int32_t)});
      return VideoFrame{converter_.convert(*frame_, orientation), number_, seconds};
    }
    if (problem_) std::rethrow_exception(std::exchange(problem_, nullptr));
    return {};
  }

  double frame_rate() const override {
    const AVStream& stream = demuxer_.stream();
    const AVRational rate = stream.avg_frame_rate.num > 0 ? stream.avg_frame_rate : stream.r_frame_rate;
    return sensible_rate(rate.den > 0 ? av_q2d(rate) : 0);
  }
  double duration() const override { return demuxer_.duration(); }
  int64_t broken_packets() const override { return broken_ + demuxer_.broken_packets(); }

 private:
  // The next picture into frame_; false at the end.
  bool decode() {
    for (;;) {
      const int code = avcodec_receive_frame(decoder_.get(), frame_.get());
      if (code >= 0 && frame_->width > 0 && frame_->height > 0) return true;
      if (code == AVERROR_EOF) return false;
      if (code == AVERROR(EAGAIN)) {
        if (flushing_) return false;
        send();
      } else if (code < 0) {
        ++broken_;
        // Behind the end whole frames may follow a broken one, but not for ever.
        if (flushing_ && ++broken_behind_ >= kMostBrokenBehind) return false;
      }
    }
  }

  void send() {
    if (!read_packet()) {
      flushing_ = true;
      avcodec_send_packet(decoder_.get(), nullptr);
      return;
    }
    if (avcodec_send_packet(decoder_.get(), packet_.get()) < 0) ++broken_;
    av_packet_unref(packet_.get());
  }

  // What a stream said before it broke is seen first.
  bool read_packet() {
    try {
      return demuxer_.read(*packet_);
    } catch (const Error&) {
      problem_ = std::current_exception();
      return false;
    }
  }

  double seconds_of(const AVFrame& frame) {
    const int64_t stamp = frame.best_effort_timestamp;
    if (stamp == AV_NOPTS_VALUE) return static_cast<double>(number_ - 1) / frame_rate();
    if (!first_stamp_) first_stamp_ = stamp;
    // Stamps of a hostile file may lie farther apart than 64 bits hold.
    return static_cast<double>(av_sat_sub64(stamp, *first_stamp_)) * av_q2d(demuxer_.stream().time_base);
  }

  Demuxer demuxer_;
  int stride_;
  CodecPtr decoder_;
  PacketPtr packet_;
  FramePtr frame_;
  BgrConverter converter_;
  Orientation orientation_;
  std::optional<int64_t> first_stamp_;
  int64_t number_ = 0, broken_ = 0;
  int broken_behind_ = 0;
  bool flushing_ = false;
  std::exception_ptr problem_;
};

}  // namespace

std::unique_ptr<FrameReader> open_video_file(const std::string& path, const ReadOptions& options) {
  return std::make_unique<VideoReader>(path, Opening::kFile, options);
}

std::unique_ptr<FrameReader> open_stream(const std::string& url, const ReadOptions& options) {
  return std::make_unique<VideoReader>(url, Opening::kStream, options);
}

}  // namespace marrow::video
