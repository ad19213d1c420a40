#include "recipe/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>

namespace marrow {
namespace {

constexpr double kGigabyte = 1e9;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

std::string duration_text(double seconds) {
  if (!(seconds >= 0) || seconds > 1e9) return "?";
  if (seconds < 10) return fmt::format("{:.1f}s", seconds);
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  const int64_t hours = whole / 3600, minutes = whole / 60 % 60, rest = whole % 60;
  return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, minutes, rest)
                   : fmt::format("{}:{:02}", minutes, rest);
}

int64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  int64_t total = 0, resident = 0;
  return file >> total >> resident ? resident * sysconf(_SC_PAGESIZE) : 0;
}

Progress::Progress(std::vector<std::string> loss_names, bool on_terminal)
    : loss_names_(std::move(loss_names)), on_terminal_(on_terminal) {}

void Progress::begin_epoch(int64_t batches) {
  batches_ = batches;
  images_ = 0;
  start_ = printed_ = Clock::now();
  std::string heading = fmt::format("{:>11}{:>11}", "Epoch", "GPU_mem");
  for (const std::string& name : loss_names_) heading += fmt::format("{:>11}", name);
  fmt::print(stderr, "\n{}{:>11}{:>11}\n", heading, "Instances", "Size");
}

std::string Progress::columns(const EpochLine& line) const {
  std::string text = fmt::format("{:>11}{:>11}", fmt::format("{}/{}", line.epoch, line.epochs),
                                 fmt::format("{:.3g}G", line.memory_gb));
  for (const double loss : line.losses) text += fmt::format("{:11.4g}", loss);
  return text + fmt::format("{:11}{:11}", line.instances, line.image_size);
}

void Progress::batch_done(const EpochLine& line, int64_t batches_done, int images) {
  images_ += images;
  if (!on_terminal_ || std::chrono::duration<double>(Clock::now() - printed_).count() < 0.1) return;
  printed_ = Clock::now();
  const double spent = seconds_since(start_);
  const double left =
      spent / static_cast<double>(batches_done) * static_cast<double>(batches_ - batches_done);
  fmt::print(stderr, "\r{}  {:3.0f}% {}/{} {:.1f} images/s, {} left in this epoch \033[K", columns(line),
             100.0 * static_cast<double>(batches_done) / static_cast<double>(batches_), batches_done,
             batches_, images_per_second(), duration_text(left));
  std::fflush(stderr);
}

void Progress::end_epoch(const EpochLine& line, double wait_seconds) {
  epoch_seconds_ = seconds_since(start_);
  fmt::print(stderr, "{}{}  {:.1f} images/s, {:.0f}% waiting for images, {} left, {:.2f} GB{}\n",
             on_terminal_ ? "\r" : "", columns(line), images_per_second(),
             100 * wait_seconds / std::max(epoch_seconds_, 1e-9),
             duration_text(epoch_seconds_ * (line.epochs - line.epoch)),
             static_cast<double>(resident_bytes()) / kGigabyte, on_terminal_ ? "\033[K" : "");
  std::fflush(stderr);
}

double Progress::images_per_second() const {
  return static_cast<double>(images_) / std::max(seconds_since(start_), 1e-9);
}

}  // namespace marrow
