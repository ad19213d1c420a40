// FFmpeg's objects with owners, and its errors as text.
#pragma once

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
}

#include <memory>
#include <string>

namespace marrow::video {

template <auto release>
struct ReleasedBy {
  template <class T>
  void operator()(T* object) const {
    release(&object);
  }
};
using CodecPtr = std::unique_ptr<AVCodecContext, ReleasedBy<avcodec_free_context>>;
using FramePtr = std::unique_ptr<AVFrame, ReleasedBy<av_frame_free>>;
using PacketPtr = std::unique_ptr<AVPacket, ReleasedBy<av_packet_free>>;

struct FreesScaler {
  void operator()(SwsContext* scaler) const { sws_freeContext(scaler); }
};
using ScalerPtr = std::unique_ptr<SwsContext, FreesScaler>;

// A dictionary of options. What nobody took is left in it.
class AvOptions {
 public:
  AvOptions() = default;
  ~AvOptions() { av_dict_free(&options_); }
  AvOptions(const AvOptions&) = delete;
  AvOptions& operator=(const AvOptions&) = delete;

  void set(const char* key, const std::string& value) { av_dict_set(&options_, key, value.c_str(), 0); }
  AVDictionary** get() { return &options_; }

 private:
  AVDictionary* options_ = nullptr;
};

// The library's own words for an error.
std::string av_error_text(int code);

// Throws std::bad_alloc for a null.
template <class T>
T* allocated(T* object) {
  if (object == nullptr) throw std::bad_alloc();
  return object;
}

// Its lines on stderr stay away unless MARROW_DEBUG is set: what matters is said as an Error.
void quieten_libav();

}  // namespace marrow::video
