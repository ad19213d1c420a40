#include "marrow_video/drawn_video.h"

#include <fmt/format.h>

#include "marrow/base/run_folder.h"
#include "marrow/image/encode.h"

namespace marrow::cli {
namespace {

constexpr size_t kDrawnAhead = 3;

}  // namespace

DrawnVideo::DrawnVideo(DrawnVideoOptions options)
    : options_(std::move(options)), queue_(kDrawnAhead, video::WhenFull::kWait) {
  if (options_.pictures) make_folders(options_.folder / (options_.name + "_frames"));
  thread_ = std::thread([this] { encode(); });
}

DrawnVideo::~DrawnVideo() {
  queue_.close();
  if (thread_.joinable()) thread_.join();
}

void DrawnVideo::take(const Frame& frame, image::Image drawn) {
  if (queue_.push({std::move(drawn), frame.number, frame.seconds.value_or(0)})) return;
  thread_.join();
  std::rethrow_exception(problem_);
}

void DrawnVideo::finish() {
  queue_.end();
  if (thread_.joinable()) thread_.join();
  if (problem_) std::rethrow_exception(problem_);
  if (writer_) writer_->finish();
}

void DrawnVideo::encode() {
  try {
    while (const std::optional<Drawn> drawn = queue_.pop()) write(*drawn);
  } catch (...) {
    problem_ = std::current_exception();
    queue_.close();
  }
}

void DrawnVideo::write(const Drawn& drawn) {
  if (options_.pictures)
    image::write_image(
        options_.folder / (options_.name + "_frames") / fmt::format("{}_{}.jpg", options_.name, drawn.number),
        drawn.image.pixels());
  if (!options_.video) return;
  if (!writer_)
    writer_ = std::make_unique<video::VideoWriter>(
        options_.folder / (options_.name + ".mp4"),
        video::WriteOptions{.size = {drawn.image.width(), drawn.image.height()},
                            .frame_rate = options_.frame_rate});
  writer_->write(drawn.image, drawn.seconds);
}

}  // namespace marrow::cli
