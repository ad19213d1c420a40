// A source played in a thread of its own: the next frame is decoded while this one is looked at.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "marrow/base/stopwatch.h"
#include "marrow/video/frame_queue.h"
#include "marrow/video/frame_reader.h"

namespace marrow::video {

using OpenReader = std::function<std::unique_ptr<FrameReader>(const ReadOptions&)>;

struct PlaybackOptions {
  ReadOptions read;
  // A stream or webcam: when it ends or breaks it is opened again, after 1, 2, 4, ... 30 seconds.
  bool live = false;
  bool buffer = false;                       // of a live source, up to 30 frames; false: the newest only
  double first_wait = 1, longest_wait = 30;  // seconds
  // Gets a line for people: "lost (...); again in 2 s". Called by the playing thread.
  std::function<void(const std::string&)> say = [](const std::string&) {};
};

// One caller of next() at a time; stop() from any thread.
class Playback {
 public:
  // A file is opened at once, so that what is wrong with it is thrown here; a live source by the thread.
  Playback(OpenReader open, const PlaybackOptions& options);
  ~Playback();  // stops
  Playback(const Playback&) = delete;
  Playback& operator=(const Playback&) = delete;

  // Nothing at the end of a file, and after stop(). Throws what reading a file throws.
  std::optional<VideoFrame> next() { return queue_.pop(); }
  // Nothing where there is none yet, too: ended() tells.
  std::optional<VideoFrame> try_next() { return queue_.try_pop(); }
  bool ended() const { return queue_.ended(); }
  void stop();

  double frame_rate() const { return frame_rate_; }  // 30 until a live source was opened
  double duration() const { return duration_; }      // seconds; 0: not known
  int64_t dropped() const { return queue_.dropped(); }
  int64_t broken_packets() const { return broken_; }
  int64_t reconnections() const { return reconnections_; }

 private:
  void play_file();
  void play_live();
  void play(FrameReader& reader);
  void open();
  void wait(double seconds);

  OpenReader open_;
  PlaybackOptions options_;
  std::atomic<bool> stop_ = false;
  FrameQueue<VideoFrame> queue_;
  std::unique_ptr<FrameReader> reader_;
  std::atomic<double> frame_rate_ = kDefaultRate, duration_ = 0;
  std::atomic<int64_t> broken_ = 0, reconnections_ = 0;
  int64_t number_ = 0;  // of a live source's next frame, over all connections, from 0
  int64_t broken_before_ = 0;
  std::optional<Stopwatch> began_;  // since the first frame of a live source
  std::thread thread_;
};

}  // namespace marrow::video
