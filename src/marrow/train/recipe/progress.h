// What a training run says while it works: a line per epoch, and on a terminal a line that moves. Talk goes
// to stderr, so that stdout stays free for results.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "marrow/base/stopwatch.h"

namespace marrow::train {

// "1:02:03", "4:05", "0.8s".
std::string duration_text(double seconds);

// Whether a line that moves makes sense: stderr is a terminal, or MARROW_PROGRESS is set, as `marrow train
// --nproc` does at one: what its workers say comes through mpirun.
bool is_watched();
inline constexpr const char* kProgressVariable = "MARROW_PROGRESS";

// Resident memory of this process, bytes; 0 where the system does not say.
int64_t resident_bytes();

struct EpochLine {
  int epoch = 1;  // from 1
  int epochs = 1;
  double memory_gb = 0;        // of the device that computes
  std::vector<double> losses;  // running means over the epoch
  int64_t instances = 0;       // objects in the latest batch, of all workers
  int image_size = 0;          // pixels
};

class Progress {
 public:
  // `loss_names`: "box_loss", ... `memory_name` heads the memory's column. `on_terminal`: whether lines that
  // move make sense; without them the columns' heading is printed once, not every epoch. It waits for its
  // first row, and for the estimate.
  Progress(std::vector<std::string> loss_names, std::string memory_name, bool on_terminal);

  void begin_epoch(int64_t batches);
  // What the first batches of a run say of it: a line. Until then a line that moves has no columns.
  void estimate(const std::string& text);
  // After each batch; prints at most ten times a second, and nothing without a terminal.
  void batch_done(const EpochLine& line, int64_t batches_done, int images);
  // Ends the epoch with its line: memory, losses, images/s, the share of time spent waiting for the loader,
  // the time that the epochs to come need at this pace, with their validation once the first one's is known.
  void end_epoch(const EpochLine& line, double wait_seconds);

  double images_per_second() const;

 private:
  void head();
  std::string columns(const EpochLine& line) const;

  std::vector<std::string> loss_names_;
  std::string memory_name_;
  bool on_terminal_;
  int64_t batches_ = 0;
  int64_t images_ = 0;
  Stopwatch epoch_;
  Stopwatch since_printed_;
  bool begun_ = false, estimated_ = false;
  bool wants_heading_ = false;       // before the next columns
  double latest_epoch_seconds_ = 0;  // from the beginning of an epoch to that of the next; 0: not known yet
};

}  // namespace marrow::train
