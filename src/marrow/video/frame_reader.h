// Frames one after another, from a file, a stream or a webcam.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "marrow/image/image.h"

namespace marrow::video {

struct VideoFrame {
  image::Image image;  // blue, green, red of 8 bits, upright
  int64_t number = 0;  // from 1; frames that a stride leaves out count
  double seconds = 0;  // since the first frame, by the time stamps
};

struct ReadOptions {
  int stride = 1;                           // give every so many frames only
  bool live = false;                        // a stream: little is buffered, decoding adds no frame of delay
  double open_seconds = 10;                 // until a source must have been opened
  double read_seconds = 5;                  // until the next data must have come
  int threads = 0;                          // that decode; 0: half of the processors
  const std::atomic<bool>* stop = nullptr;  // once true, opening and reading end as if the video did
};

// One caller at a time.
class FrameReader {
 public:
  virtual ~FrameReader() = default;
  // Nothing at the end. Throws Error{kFile} where a stream or webcam says nothing any more.
  virtual std::optional<VideoFrame> next() = 0;

  // What the source says of itself; it may be wrong.
  virtual double frame_rate() const = 0;                // a second; 30 where it says nothing sensible
  virtual double duration() const { return 0; }         // seconds; 0: not known
  virtual int64_t broken_packets() const { return 0; }  // that were left out so far
};

// Rates outside are those of nobody's camera.
inline constexpr double kDefaultRate = 30;
inline double sensible_rate(double rate) {
  return rate > 0 && rate < 1000 ? rate : kDefaultRate;
}

// A file's path. Nothing else is opened, whatever the file says. Throws Error{kFile} for what cannot be
// opened, Error{kFormat} for what is no video, Error{kUnsupported} for a kind that is not decoded.
std::unique_ptr<FrameReader> open_video_file(const std::string& path, const ReadOptions& options);
// A URL. Throws as above; messages leave a password out.
std::unique_ptr<FrameReader> open_stream(const std::string& url, const ReadOptions& options);
// A webcam's number or device, by Video4Linux. Throws Error{kFile} where there is none, Error{kUnsupported}
// for one that gives neither JPEGs nor YUYV.
std::unique_ptr<FrameReader> open_camera(const std::string& source, const ReadOptions& options);

}  // namespace marrow::video
