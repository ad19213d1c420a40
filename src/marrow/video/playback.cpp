#include "marrow/video/playback.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>

#include "marrow/base/error.h"

namespace marrow::video {
namespace {

constexpr size_t kDecodedAhead = 4;   // frames of a file
constexpr size_t kBufferedLive = 30;  // as Ultralytics' stream_buffer
constexpr std::chrono::milliseconds kLook(20);

size_t capacity_of(const PlaybackOptions& options) {
  if (!options.live) return kDecodedAhead;
  return options.buffer ? kBufferedLive : 1;
}

}  // namespace

Playback::Playback(OpenReader open, const PlaybackOptions& options)
    : open_(std::move(open)),
      options_(options),
      queue_(capacity_of(options), options.live ? WhenFull::kDropOldest : WhenFull::kWait) {
  options_.read.stop = &stop_;
  options_.read.live = options.live;
  if (!options_.live) {
    this->open();
    thread_ = std::thread([this] { play_file(); });
  } else {
    thread_ = std::thread([this] { play_live(); });
  }
}

Playback::~Playback() {
  stop();
  thread_.join();
}

void Playback::stop() {
  stop_ = true;
  queue_.close();
}

void Playback::open() {
  reader_ = open_(options_.read);
  frame_rate_ = reader_->frame_rate();
  duration_ = reader_->duration();
}

void Playback::play(FrameReader& reader) {
  // After a pause the time stamps go on where the clock is.
  const double begin = began_ ? began_->seconds() : 0;
  const int64_t first = number_;
  while (!stop_) {
    std::optional<VideoFrame> frame = reader.next();
    broken_ = broken_before_ + reader.broken_packets();
    if (!frame) return;
    if (options_.live) {
      if (!began_) began_.emplace();
      frame->number += first - 1;
      number_ = frame->number + 1;
      frame->seconds += begin;
    }
    if (!queue_.push(std::move(*frame))) return;
  }
}

void Playback::play_file() {
  try {
    play(*reader_);
    queue_.end();
  } catch (...) {
    queue_.end(std::current_exception());
  }
}

void Playback::play_live() {
  double pause = options_.first_wait;
  while (!stop_) {
    std::string problem = "it ended";
    const int64_t before = number_;
    try {
      open();
      play(*reader_);
    } catch (const std::exception& error) {
      problem = error.what();
    }
    if (stop_) break;
    broken_before_ = broken_;
    reader_.reset();
    // A connection that gave frames was a good one.
    if (number_ > before) pause = options_.first_wait;
    options_.say(fmt::format("lost ({}); again in {:g} s", problem, pause));
    wait(pause);
    pause = std::min(2 * pause, options_.longest_wait);
    ++reconnections_;
  }
  queue_.end();
}

void Playback::wait(double seconds) {
  const Stopwatch waited;
  while (!stop_ && waited.seconds() < seconds) std::this_thread::sleep_for(kLook);
}

}  // namespace marrow::video
