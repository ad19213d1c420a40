#include "marrow_video/watch_videos.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <exception>
#include <functional>
#include <thread>

#include "marrow/base/counted.h"
#include "marrow/base/error.h"
#include "marrow/base/talk.h"
#include "marrow/detect/sources.h"
#include "marrow/image/convert.h"
#include "marrow/video/playback.h"
#include "marrow_video/drawn_video.h"
#include "watching/watch.h"

namespace marrow::cli {
namespace {

namespace fs = std::filesystem;
using detect::VideoKind;

constexpr std::chrono::milliseconds kIdle(1);
constexpr size_t kMostStreams = 64;
constexpr double kLongestVideo = 1e9;  // seconds

volatile std::sig_atomic_t interrupted = 0;

void note_interrupt(int signal) {
  interrupted = 1;
  std::signal(signal, SIG_DFL);
}

// "1:04.2"; whatever a video claims, nothing below 0 and no more than fits.
std::string clock_text(double seconds) {
  const auto tenths = static_cast<int64_t>(std::clamp(seconds, 0.0, kLongestVideo) * 10);
  return fmt::format("{}:{:02}.{}", tenths / 600, tenths / 10 % 60, tenths % 10);
}

// What files of a stream are called.
std::string plain_name(std::string url) {
  for (char& c : url)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '-') c = '_';
  return detect::folder_name(url);
}

struct Source {
  std::string text;  // as it was given
  VideoKind kind;
  bool live() const { return kind != VideoKind::kFiles; }
};

Source source_of(const std::string& text) {
  const auto kind = detect::video_kind(text);
  if (kind == VideoKind::kStream || kind == VideoKind::kCamera) return {text, *kind};
  return {text, VideoKind::kFiles};
}

std::vector<Source> sources_of(const std::string& text) {
  const auto kind = detect::video_kind(text);
  if (!kind) throw Error(ErrorKind::kFile, fmt::format("{}: no such video", text));
  std::vector<Source> sources;
  if (kind == VideoKind::kList)
    for (const std::string& each : detect::listed_streams(text)) sources.push_back(source_of(each));
  else if (kind == VideoKind::kFiles)
    for (const fs::path& file : detect::video_files(text))
      sources.push_back({file.string(), VideoKind::kFiles});
  else
    sources.push_back({text, *kind});
  return sources;
}

video::OpenReader opener_of(const Source& source) {
  return [source](const video::ReadOptions& options) {
    switch (source.kind) {
      case VideoKind::kStream:
        return video::open_stream(source.text, options);
      case VideoKind::kCamera:
        return video::open_camera(source.text, options);
      default:
        return video::open_video_file(source.text, options);
    }
  };
}

// As the detector reads images.
image::Image as_read(image::Image picture, const SampleFormat& format) {
  if (format == picture.format()) return picture;
  if (format.channels == 1 && format.bits == 8) return image::to_grey(picture);
  throw Error(ErrorKind::kUnsupported, fmt::format("a model of {} of {} bits; a video has colours of 8",
                                                   counted(format.channels, "channel"), format.bits));
}

// One source: its frames, its tracks, its files.
class WatchedVideo {
 public:
  // `takes_turns`: others are seen at the same time.
  WatchedVideo(const Source& source, bool takes_turns, std::string place, const PredictFlags& flags,
               const TrackFlags* tracking, FrameDetector& detector, WatchRun& run, detect::OutputNames& names)
      : source_(source),
        takes_turns_(takes_turns),
        shown_(detect::without_password(source.text)),
        place_(std::move(place)),
        flags_(flags),
        detector_(detector),
        run_(run),
        name_(names.take(source.live() ? fs::path(plain_name(shown_)) : fs::path(source.text))),
        playback_(opener_of(source), playback_options()),
        watch_(flags, tracking, detector, run,
               [this](const Frame& frame, image::Image drawn) { take_drawn(frame, std::move(drawn)); }) {}

  // Sees the next frames where they are there: of a live source those that wait, of a file that is seen alone
  // all to its end; of others as many as are seen side by side.
  bool see_next() {
    const size_t most = takes_turns_ ? detector_.most_at_once() : SIZE_MAX;
    size_t seen = 0;
    std::exception_ptr problem;
    watch_.see_all([&]() -> std::optional<Frame> {
      if (problem || seen == most || interrupted != 0) return {};
      try {
        std::optional<video::VideoFrame> next =
            seen == 0 || source_.live() ? playback_.try_next() : playback_.next();
        if (!next) return {};
        ++seen;
        return frame_of(std::move(*next));
      } catch (const Error&) {
        // What came before it is seen first.
        problem = std::current_exception();
        return {};
      }
    });
    frames_ += static_cast<int64_t>(seen);
    if (problem) std::rethrow_exception(problem);
    return seen > 0;
  }

  bool ended() const { return playback_.ended(); }
  const std::string& place() const { return place_; }

  void finish() {
    playback_.stop();
    watch_.finish();
    if (drawn_) drawn_->finish();
    if (const int64_t dropped = playback_.dropped(); dropped > 0)
      talk(fmt::format("marrow: {}: {} came while others were looked at, and were not seen", shown_,
                       counted(dropped, "frame")));
    if (const int64_t broken = playback_.broken_packets(); broken > 0)
      talk(fmt::format("marrow: {}: {} left out", shown_, counted(broken, "broken packet")));
    if (frames_ == 0) throw Error(ErrorKind::kFile, shown_ + ": no frame of it could be read");
  }

 private:
  Frame frame_of(video::VideoFrame next) const {
    const std::string when =
        source_.live() || playback_.duration() == 0
            ? clock_text(next.seconds)
            : fmt::format("{} of {}", clock_text(next.seconds), clock_text(playback_.duration()));
    return {.image = as_read(std::move(next.image), detector_.reading().samples),
            .source = shown_,
            .number = next.number,
            .seconds = next.seconds,
            .head = fmt::format("{} (frame {}, {}) {}: ", place_, next.number, when, shown_),
            .output = fmt::format("{}_{}", name_, next.number)};
  }
  video::PlaybackOptions playback_options() const {
    video::PlaybackOptions options{.live = source_.live(), .buffer = flags_.stream_buffer};
    options.read.stride = flags_.vid_stride;
    options.say = [shown = shown_](const std::string& line) {
      talk(fmt::format("marrow: {}: {}", shown, line));
    };
    return options;
  }

  void take_drawn(const Frame& frame, image::Image drawn) {
    if (!drawn_)
      drawn_.emplace(DrawnVideoOptions{.folder = run_.folder.path(),
                                       .name = name_,
                                       .video = flags_.save,
                                       .pictures = flags_.save_frames,
                                       .frame_rate = playback_.frame_rate() / flags_.vid_stride});
    drawn_->take(frame, std::move(drawn));
  }

  Source source_;
  bool takes_turns_;
  std::string shown_, place_;
  const PredictFlags& flags_;
  FrameDetector& detector_;
  WatchRun& run_;
  std::string name_;
  int64_t frames_ = 0;
  std::optional<DrawnVideo> drawn_;
  video::Playback playback_;
  Watch watch_;
};

using WatchedVideos = std::vector<std::unique_ptr<WatchedVideo>>;

// Takes a video that failed, and why.
using Skip = std::function<void(const std::string& place, const Error& error)>;

// One that fails is left out from then on; the others go on.
template <class Step>
void for_each_video(WatchedVideos& videos, const Skip& skip, const Step& step) {
  std::erase_if(videos, [&](const auto& video) {
    try {
      step(*video);
      return false;
    } catch (const Error& error) {
      skip(video->place(), error);
      return true;
    }
  });
}

// Side by side, a frame of each in turn, until all have ended.
void see_and_finish(WatchedVideos& videos, const Skip& skip) {
  while (interrupted == 0 && !std::ranges::all_of(videos, [](const auto& video) { return video->ended(); })) {
    bool seen = false;
    for_each_video(videos, skip,
                   [&](WatchedVideo& video) { seen = (interrupted == 0 && video.see_next()) || seen; });
    if (!seen) std::this_thread::sleep_for(kIdle);
  }
  for_each_video(videos, skip, [](WatchedVideo& video) { video.finish(); });
  videos.clear();
}

}  // namespace

int watch_videos(const PredictFlags& flags, const TrackFlags* tracking) {
  const std::vector<Source> sources = sources_of(flags.source);
  if (sources.size() > 1 && tracking != nullptr && !(tracking->mot.empty() && tracking->truth.empty()))
    throw Error(ErrorKind::kUsage,
                fmt::format("--mot and --eval: they are for one video; there are {}", sources.size()));
  if (tracking != nullptr && !tracking->truth.empty() && sources.front().live())
    throw Error(ErrorKind::kUsage,
                detect::without_password(flags.source) +
                    ": frames of a stream may be left out, and it need not end; --eval is for files");
  std::unique_ptr<FrameDetector> detector =
      tracking != nullptr && !tracking->detections.empty()
          ? std::unique_ptr<FrameDetector>(std::make_unique<RecordedDetector>(tracking->detections))
          : network_detector(flags);
  const bool together = detect::video_kind(flags.source) == VideoKind::kList || sources.front().live();
  if (together && sources.size() > kMostStreams)
    throw Error(ErrorKind::kUsage, fmt::format("{}: {} streams; at most {} are seen side by side",
                                               flags.source, sources.size(), kMostStreams));
  WatchRun run{.folder = run_folder(flags, detector->task())};
  detect::OutputNames names;
  std::signal(SIGINT, note_interrupt);
  std::signal(SIGTERM, note_interrupt);
  size_t unread = 0;
  WatchedVideos videos;
  const Skip skip = [&](const std::string& place, const Error& error) {
    talk(fmt::format("marrow: {} skipped: {}", place, error.what()));
    ++unread;
  };
  for (size_t i = 0; i < sources.size() && interrupted == 0; ++i) {
    const std::string place =
        fmt::format("{} {}/{}", sources[i].live() ? "stream" : "video", i + 1, sources.size());
    try {
      videos.push_back(std::make_unique<WatchedVideo>(sources[i], together, place, flags, tracking, *detector,
                                                      run, names));
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kUsage) throw;
      skip(place, error);
      continue;
    }
    if (!together) see_and_finish(videos, skip);
  }
  see_and_finish(videos, skip);
  say_run(run, flags, *detector);
  return unread == 0 ? 0 : 1;
}

}  // namespace marrow::cli
