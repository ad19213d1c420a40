// The drawn frames of one video as files, encoded in a thread of its own while the next frames are seen.
#pragma once

#include <exception>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "marrow/video/frame_queue.h"
#include "marrow/video/video_writer.h"
#include "watching/frame_detector.h"

namespace marrow::cli {

struct DrawnVideoOptions {
  std::filesystem::path folder;
  std::string name;        // of the files, without a suffix
  bool video = true;       // NAME.mp4
  bool pictures = false;   // NAME_frames/NAME_FRAME.jpg
  double frame_rate = 30;  // a second, of what is drawn
};

// One caller at a time.
class DrawnVideo {
 public:
  explicit DrawnVideo(DrawnVideoOptions options);
  ~DrawnVideo();  // without finish(): a video is not kept
  DrawnVideo(const DrawnVideo&) = delete;
  DrawnVideo& operator=(const DrawnVideo&) = delete;

  // The first frame decides the size. Throws what writing an earlier one threw.
  void take(const Frame& frame, image::Image drawn);
  void finish();

 private:
  struct Drawn {
    image::Image image;
    int64_t number;
    double seconds;
  };
  void encode();
  void write(const Drawn& drawn);

  DrawnVideoOptions options_;
  video::FrameQueue<Drawn> queue_;
  std::unique_ptr<video::VideoWriter> writer_;
  std::exception_ptr problem_;  // set before the queue is closed, read afterwards
  std::thread thread_;
};

}  // namespace marrow::cli
