// The program `marrow-video`: `marrow predict` and `marrow track` of videos, streams and webcams, with
// FFmpeg's libraries. `marrow` starts it with the words that it was given.
//
// Exit codes: 0, 1 (failed, or a video could not be read), 2 (usage).
#include <memory>

#include "command_line/program.h"
#include "marrow/base/memory.h"
#include "marrow_video/watch_videos.h"
#include "support/habits.h"
#include "watching/watch.h"

namespace {

using namespace marrow::cli;

void declare_predict_videos(Command& command) {
  auto flags = std::make_shared<PredictFlags>();
  declare_predict_flags(command, *flags);
  command.action([flags] { return watch_videos(*flags, nullptr); });
}

void declare_track_videos(Command& command) {
  auto flags = std::make_shared<TrackFlags>();
  declare_track_flags(command, *flags);
  command.action([flags] {
    check_track_flags(*flags);
    return watch_videos(flags->frames, flags.get());
  });
}

}  // namespace

int main(int argc, char** argv) {
  marrow::keep_freed_memory();
  const auto declare = [](Command& program) {
    program.summary("Find and follow objects in videos");
    program.add("predict", declare_predict_videos);
    program.add("track", declare_track_videos);
    add_habits(program);
  };
  return run_program("marrow", declare, argc, argv);
}
