// An opened file or stream: packets of its best video, within deadlines, and nothing else opened.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "marrow/video/frame_reader.h"
#include "marrow/video/libav.h"

namespace marrow::video {

// Files may open nothing but themselves, streams what their protocols need.
enum class Opening { kFile, kStream };

class Demuxer {
 public:
  Demuxer(const std::string& source, Opening opening, const ReadOptions& options);
  ~Demuxer();
  Demuxer(const Demuxer&) = delete;
  Demuxer& operator=(const Demuxer&) = delete;

  const AVStream& stream() const { return *stream_; }
  double duration() const;
  // For messages, without a password.
  const std::string& name() const { return name_; }

  // The next packet of the video; false at the end. Throws Error{kFile} where no data comes.
  bool read(AVPacket& packet);
  int64_t broken_packets() const { return broken_; }

 private:
  using Clock = std::chrono::steady_clock;
  static int interrupted(void* self);
  static int open_nested(AVFormatContext* context, AVIOContext** io, const char* url, int flags,
                         AVDictionary** options);
  bool stopped() const { return options_.stop != nullptr && *options_.stop; }
  void set_deadline(double seconds);
  [[noreturn]] void fail(int code, const std::string& what) const;

  std::string name_;
  Opening opening_;
  ReadOptions options_;
  Clock::time_point deadline_ = {};
  AVFormatContext* context_ = nullptr;
  AVStream* stream_ = nullptr;
  int (*open_io_)(AVFormatContext*, AVIOContext**, const char*, int, AVDictionary**) = nullptr;
  int opened_ = 0;
  int64_t broken_ = 0;
};

}  // namespace marrow::video
