#include "marrow/video/demuxer.h"

#include <fmt/core.h>

#include "marrow/base/error.h"
#include "marrow/detect/sources.h"

namespace marrow::video {
namespace {

// What a URL may lead to; a playlist cannot make the program read this machine's files.
constexpr const char* kStreamProtocols = "http,https,tcp,tls,rtsp,rtsps,rtp,udp,rtmp,crypto,hls";
// Files that hold pictures themselves: no lists of other files.
constexpr const char* kFileFormats =
    "mov,matroska,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,obu,ivf,asf,flv,gif,ogg,mjpeg,mxf,nut,rm,dv,wtv";
constexpr int kMostBrokenInARow = 1000;  // packets after which a file has ended

}  // namespace

Demuxer::Demuxer(const std::string& source, Opening opening, const ReadOptions& options)
    : name_(detect::without_password(source)), opening_(opening), options_(options) {
  quieten_libav();
  context_ = allocated(avformat_alloc_context());
  context_->opaque = this;
  context_->interrupt_callback = {interrupted, this};
  open_io_ = context_->io_open;
  context_->io_open = open_nested;
  AvOptions settings;
  settings.set("protocol_whitelist", opening == Opening::kFile ? "file" : kStreamProtocols);
  if (opening == Opening::kFile) settings.set("format_whitelist", kFileFormats);
  if (options.live) {
    settings.set("probesize", "500000");
    settings.set("analyzeduration", "1000000");
  }
  if (source.starts_with("rtsp")) {
    // Without losses; of what speaks UDP alone, that.
    settings.set("rtsp_flags", "prefer_tcp");
    settings.set("allowed_media_types", "video");
  }
  set_deadline(options.open_seconds);
  // "file:" in front, since a name may look like a protocol's.
  const std::string url = opening == Opening::kFile ? "file:" + source : source;
  // Frees the context where it fails.
  if (const int code = avformat_open_input(&context_, url.c_str(), nullptr, settings.get()); code < 0)
    fail(code, "cannot be opened");
  try {
    if (const int code = avformat_find_stream_info(context_, nullptr); code < 0) fail(code, "cannot be read");
    const int best = av_find_best_stream(context_, AVMEDIA_TYPE_VIDEO, -1, -1, nullptr, 0);
    if (best < 0) throw Error(ErrorKind::kFormat, fmt::format("{}: there is no video in it", name_));
    stream_ = context_->streams[best];
  } catch (...) {
    avformat_close_input(&context_);
    throw;
  }
  for (unsigned i = 0; i < context_->nb_streams; ++i)
    if (context_->streams[i] != stream_) context_->streams[i]->discard = AVDISCARD_ALL;
}

Demuxer::~Demuxer() {
  avformat_close_input(&context_);
}

int Demuxer::interrupted(void* self) {
  const auto& demuxer = *static_cast<const Demuxer*>(self);
  return demuxer.stopped() || Clock::now() > demuxer.deadline_ ? 1 : 0;
}

int Demuxer::open_nested(AVFormatContext* context, AVIOContext** io, const char* url, int flags,
                         AVDictionary** options) {
  auto& demuxer = *static_cast<Demuxer*>(context->opaque);
  // A file that is a playlist would name others.
  if (demuxer.opening_ == Opening::kFile && demuxer.opened_ > 0) return AVERROR(EPERM);
  ++demuxer.opened_;
  return demuxer.open_io_(context, io, url, flags, options);
}

void Demuxer::set_deadline(double seconds) {
  deadline_ =
      Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

void Demuxer::fail(int code, const std::string& what) const {
  if (code == AVERROR_EXIT && !stopped())
    throw Error(ErrorKind::kFile,
                fmt::format("{}: nothing came for {:g} seconds", name_,
                            stream_ == nullptr ? options_.open_seconds : options_.read_seconds));
  throw Error(code == AVERROR_INVALIDDATA ? ErrorKind::kFormat : ErrorKind::kFile,
              fmt::format("{}: {}: {}", name_, what, av_error_text(code)));
}

double Demuxer::duration() const {
  if (context_->duration != AV_NOPTS_VALUE && context_->duration > 0)
    return static_cast<double>(context_->duration) / AV_TIME_BASE;
  if (stream_->duration != AV_NOPTS_VALUE && stream_->duration > 0)
    return static_cast<double>(stream_->duration) * av_q2d(stream_->time_base);
  return 0;
}

bool Demuxer::read(AVPacket& packet) {
  set_deadline(options_.read_seconds);
  for (int broken = 0;;) {
    const int code = av_read_frame(context_, &packet);
    if (code >= 0) {
      if (packet.stream_index == stream_->index) return true;
      av_packet_unref(&packet);
      continue;
    }
    if (code == AVERROR_EOF || stopped()) return false;
    if (code == AVERROR_INVALIDDATA) {
      ++broken_;
      if (++broken >= kMostBrokenInARow) return false;
      continue;
    }
    if (opening_ == Opening::kFile && code != AVERROR_EXIT) return false;  // cut off
    fail(code, "cannot be read on");
  }
}

}  // namespace marrow::video
