// marrow track: which object is which, from frame to frame? Folders of frames and recorded detections are
// followed here; videos and streams by the program marrow-video, which takes the place of this one.
#include <fmt/format.h>

#include <memory>

#include "commands/commands.h"
#include "marrow/base/error.h"
#include "marrow/detect/save.h"
#include "marrow/detect/sources.h"
#include "marrow/image/decode.h"
#include "marrow/image/encode.h"
#include "support/video_program.h"
#include "watching/watch.h"

namespace marrow::cli {
namespace {

namespace fs = std::filesystem;

// Recorded detections without pictures.
int track_detections(const TrackFlags& flags) {
  RecordedDetector detector(flags.detections);
  if (flags.frames.save_txt || flags.frames.save_crop)
    throw Error(ErrorKind::kUsage,
                "--save-txt and --save-crop are for frames; give their folder as --source");
  WatchRun run;
  Watch watch(flags.frames, &flags, detector, run, {});
  for (int64_t frame = 1; frame <= detector.last_frame(); ++frame)
    watch.see({.source = flags.detections, .number = frame, .head = fmt::format("frame {}: ", frame)});
  watch.finish();
  return 0;
}

int track_frames(const TrackFlags& flags) {
  const std::vector<fs::path> pictures = detect::expand_sources(flags.frames.source);
  std::unique_ptr<FrameDetector> detector = flags.detections.empty()
                                                ? network_detector(flags.frames)
                                                : std::make_unique<RecordedDetector>(flags.detections);
  WatchRun run{.folder = run_folder(flags.frames, detector->task())};
  size_t place = 0;
  Watch watch(flags.frames, &flags, *detector, run, [&](const Frame& frame, const image::Image& drawn) {
    image::write_image(detect::annotated_path(run.folder.path(), frame.output, pictures[place]),
                       drawn.pixels());
  });
  detect::OutputNames names;
  size_t unread = 0;
  for (; place < pictures.size(); ++place) {
    const std::string path = pictures[place].string();
    Frame frame{.source = path,
                .number = static_cast<int64_t>(place) + 1,
                .head = fmt::format("image {}/{} {}: ", place + 1, pictures.size(), path),
                .output = names.take(pictures[place])};
    try {
      image::DecodedImage decoded =
          image::decode_image_file(pictures[place], {.fit = {}, .reading = detector->reading()});
      if (!decoded.warning.empty()) fmt::print(stderr, "marrow: {}\n", decoded.warning);
      frame.image = std::move(decoded.image);
    } catch (const Error& error) {
      fmt::print(stderr, "marrow: image {}/{} skipped: {}\n", place + 1, pictures.size(), error.what());
      ++unread;
      watch.miss();
      continue;
    }
    watch.see(std::move(frame));
  }
  watch.finish();
  say_run(run, flags.frames, *detector);
  if (unread > 0) fmt::print(stderr, "marrow: {} of {} images could not be read\n", unread, pictures.size());
  return unread == 0 ? 0 : 1;
}

int track(const TrackFlags& flags, const std::vector<std::string>& words) {
  check_track_flags(flags);
  if (flags.frames.source.empty()) return track_detections(flags);
  if (detect::video_kind(flags.frames.source)) become_video_program(words, flags.frames.source);
  return track_frames(flags);
}

}  // namespace

void declare_track(Command& command, const std::vector<std::string>& words) {
  auto flags = std::make_shared<TrackFlags>();
  declare_track_flags(command, *flags);
  command.action([flags, words] { return track(*flags, words); });
}

}  // namespace marrow::cli
