// Videos are written as files.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "marrow/base/file_lock.h"
#include "marrow/geometry/size.h"
#include "marrow/image/image.h"

namespace marrow::video {

struct WriteOptions {
  Size size;               // pixels; pictures of other sizes are stretched to it
  double frame_rate = 30;  // a second, of frames without a time
  std::string codec;       // an encoder of FFmpeg; empty: H.264 where it is there, else MPEG-4
};

// A video of H.264, which players and browsers show. The suffix chooses the container (.mp4, .mkv, .avi,
// ...). It is written under another name until finish(), so that a file under its own name is whole. One
// caller at a time.
class VideoWriter {
 public:
  // Throws Error{kUnsupported} for a container or encoder that is not there, Error{kFile} where the file
  // cannot be made, Error{kUsage} while another process writes it and for a size below 2 or above 16384 a
  // side.
  VideoWriter(const std::filesystem::path& path, const WriteOptions& options);
  ~VideoWriter();  // without finish(): nothing is left
  VideoWriter(const VideoWriter&) = delete;
  VideoWriter& operator=(const VideoWriter&) = delete;

  // Blue, green and red of 8 bits. `seconds` rises from frame to frame; one that does not is shown a moment
  // after the one before. Throws Error{kFile} where it cannot be written.
  void write(const image::Image& picture, double seconds);
  // By the frame rate.
  void write(const image::Image& picture);
  void finish();

  int64_t frames() const { return frames_; }

 private:
  struct Parts;
  void drain(bool flush);
  [[noreturn]] void fail(int code) const;

  std::filesystem::path path_, unfinished_;
  std::optional<FileLock> lock_;  // of the unfinished one, whose name is the same in every process
  WriteOptions options_;
  std::unique_ptr<Parts> parts_;
  int64_t frames_ = 0, last_stamp_ = -1;
};

}  // namespace marrow::video
