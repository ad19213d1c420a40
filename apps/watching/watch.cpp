#include "watching/watch.h"

#include <fmt/format.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "marrow/base/counted.h"
#include "marrow/base/error.h"
#include "marrow/base/run_folder.h"
#include "marrow/detect/draw.h"
#include "marrow/detect/results.h"
#include "marrow/image/convert.h"
#include "marrow/track/track_scores.h"
#include "marrow/track/tracker_settings.h"

namespace marrow::cli {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void cannot_write(const std::string& file) {
  throw Error(ErrorKind::kFile, fmt::format("{}: cannot be written: {}", file, std::strerror(errno)));
}

}  // namespace

void check_track_flags(const TrackFlags& flags) {
  if (flags.frames.model.empty() == flags.detections.empty())
    throw Error(ErrorKind::kUsage, flags.detections.empty()
                                       ? "--model: wanted, or recorded detections (--detections FILE)"
                                       : "--detections: they take the place of a model; leave --model out");
  if (flags.frames.source.empty() && flags.detections.empty())
    throw Error(ErrorKind::kUsage, "--source: wanted, the frames in which objects are followed");
  track::read_tracker_settings(flags.tracker);
  track::read_lines(flags.lines, "--line");
  track::read_zones(flags.zones, "--zone");
  if (!flags.truth.empty()) track::read_mot(flags.truth, track::MotKind::kTracks);
}

RunFolder run_folder(const PredictFlags& flags, const std::string& task) {
  const bool writes = flags.save || flags.save_txt || flags.save_crop || flags.save_frames;
  return writes ? RunFolder([&flags, task] { return flags.folder.make(task); }) : RunFolder();
}

Watch::Watch(const PredictFlags& flags, const TrackFlags* tracking, FrameDetector& detector, WatchRun& run,
             TakeDrawn take_drawn)
    : flags_(flags),
      tracking_(tracking),
      detector_(detector),
      run_(run),
      take_drawn_(std::move(take_drawn)),
      talk_(flags.as_json ? stderr : stdout) {
  if (tracking_ == nullptr) return;
  tracks_.emplace(track::read_tracker_settings(tracking_->tracker),
                  track::read_lines(tracking_->lines, "--line"),
                  track::read_zones(tracking_->zones, "--zone"));
  if (tracking_->mot.empty()) return;
  mot_file_ = std::fopen(tracking_->mot.c_str(), "we");
  if (mot_file_ == nullptr) cannot_write(tracking_->mot);
}

Watch::~Watch() {
  if (mot_file_ != nullptr) std::fclose(mot_file_);
}

void Watch::see(Frame frame) {
  std::optional<Frame> one(std::move(frame));
  see_all([&] { return std::exchange(one, std::nullopt); });
}

void Watch::see_all(const NextFrame& next) {
  detector_.see(next,
                [this](Frame frame, FrameDetections found) { take(std::move(frame), std::move(found)); });
}

void Watch::take(Frame frame, FrameDetections found) {
  run_.folder.make();
  image::Image picture = image::displayed(std::move(frame.image));
  const Size size = {picture.width(), picture.height()};
  const FrameDetections shown = tracks_ ? followed(std::move(found), picture) : std::move(found);
  say(frame, size, shown);
  if (tracks_) {
    const std::string rows = tracks_->mot_text();
    if (mot_file_ != nullptr && std::fwrite(rows.data(), 1, rows.size(), mot_file_) != rows.size())
      cannot_write(tracking_->mot);
    if (!tracking_->truth.empty()) mot_text_ += rows;
  }
  if (flags_.save_txt) save_labels(frame, size, shown);
  if (flags_.save_crop) {
    if (!run_.crops) run_.crops.emplace(run_.folder.path() / "crops");
    run_.crops->save(frame.output, picture, shown.detections, detector_.names());
  }
  if ((flags_.save || flags_.save_frames) && !picture.empty()) {
    detect::draw_detections(picture, shown.detections, detector_.names(), shown.extras);
    if (tracks_) tracks_->draw(picture);
    take_drawn_(frame, std::move(picture));
  }
  run_.times.add(shown.times);
}

FrameDetections Watch::followed(FrameDetections found, const image::Image& picture) {
  track::ShownObjects shown = tracks_->next(found.detections, picture.empty() ? nullptr : &picture);
  found.extras = detect::chosen(found.extras, shown.places);
  found.detections = std::move(shown.detections);
  return found;
}

void Watch::miss() {
  if (tracks_) tracks_->next({}, nullptr);
}

void Watch::say(const Frame& frame, Size picture, const FrameDetections& shown) const {
  std::string line = fmt::format("{}{}{}", frame.head, shown.shape,
                                 detect::summary_text(shown.detections, detector_.names()));
  if (tracks_ && !tracks_->counter().text().empty()) line += "; " + tracks_->counter().text();
  if (detector_.has_network()) line += ", " + times_text(shown.times);
  fmt::print(talk_, "{}\n", line);
  if (flags_.as_json) {
    nlohmann::ordered_json more = {{"frame", frame.number}};
    if (frame.seconds) more["time"] = std::round(*frame.seconds * 1e6) / 1e6;
    if (tracks_) more.update(tracks_->counter().to_json());
    fmt::print("{}\n", detect::json_line(frame.source, picture, shown.detections, detector_.names(),
                                         shown.extras, more));
  }
  std::fflush(stdout);
}

void Watch::save_labels(const Frame& frame, Size picture, const FrameDetections& shown) {
  const fs::path labels = run_.folder.path() / "labels";
  make_folders(labels);
  detect::write_labels(labels / (frame.output + ".txt"), picture, shown.detections, flags_.save_conf,
                       shown.extras);
  run_.labels += !shown.detections.empty();
}

void Watch::finish() {
  if (!tracks_) return;
  if (mot_file_ != nullptr) {
    if (std::fclose(std::exchange(mot_file_, nullptr)) != 0) cannot_write(tracking_->mot);
    fmt::print(talk_, "Tracks saved to {}\n", tracking_->mot);
  }
  if (!tracks_->counter().text().empty()) fmt::print(talk_, "Counted: {}\n", tracks_->counter().text());
  if (tracking_->truth.empty()) return;
  // What is compared is what a file of the tracks would hold.
  const track::TrackScores scores =
      track::score_tracks(track::read_mot(tracking_->truth, track::MotKind::kTracks),
                          track::parse_mot(mot_text_, "the tracks", track::MotKind::kTracks));
  fmt::print(talk_, "{}\n", track::scores_text(scores));
  if (flags_.as_json) fmt::print("{{\"scores\":{}}}\n", track::scores_json(scores));
}

void say_run(const WatchRun& run, const PredictFlags& flags, const FrameDetector& detector) {
  std::FILE* talk = flags.as_json ? stderr : stdout;
  if (run.times.count() == 0) return;
  if (detector.has_network())
    fmt::print(talk, "Speed: {} per frame of {}\n", run.times.mean_text(),
               counted(run.times.count(), "frame"));
  if (!run.folder.path().empty()) fmt::print(talk, "Results saved to {}\n", run.folder.path().string());
  if (run.labels > 0)
    fmt::print(talk, "{} saved to {}\n", counted(run.labels, "label"),
               (run.folder.path() / "labels").string());
}

}  // namespace marrow::cli
