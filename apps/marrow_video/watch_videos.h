// Videos, streams and webcams: what `marrow predict` and `marrow track` do with them.
#pragma once

#include "watching/track_flags.h"

namespace marrow::cli {

// `tracking`: nullptr to find objects alone. Ctrl-C ends it with whole files; a second one at once. The
// result is the exit code: 1 where a video could not be read.
int watch_videos(const PredictFlags& flags, const TrackFlags* tracking);

}  // namespace marrow::cli
