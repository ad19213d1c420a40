// Ctrl-C and SIGTERM end a run at its next optimizer step, with a checkpoint; a second one, half a
// second later or more, ends it at once.
#pragma once

namespace marrow::train {

// Takes over SIGINT and SIGTERM for as long as one of these lives, then puts back what was there. Any thread.
class StopRequest {
 public:
  StopRequest();
  ~StopRequest();
  StopRequest(const StopRequest&) = delete;
  StopRequest& operator=(const StopRequest&) = delete;

  // The signal that came; 0: none yet. Any thread.
  static int signal();
};

}  // namespace marrow::train
