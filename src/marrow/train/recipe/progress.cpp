#include "marrow/train/recipe/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "marrow/base/stopwatch.h"
#include "marrow/base/talk.h"

namespace marrow::train {

std::string duration_text(double seconds) {
  if (!(seconds >= 0) || seconds > 1e9) return "?";
  if (seconds < 10) return fmt::format("{:.1f}s", seconds);
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  const int64_t hours = whole / 3600, minutes = whole / 60 % 60, rest = whole % 60;
  return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, minutes, rest)
                   : fmt::format("{}:{:02}", minutes, rest);
}

bool is_watched() {
  const char* wanted = std::getenv(kProgressVariable);
  return isatty(STDERR_FILENO) != 0 || (wanted != nullptr && *wanted != '\0');
}

int64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  int64_t total = 0, resident = 0;
  return file >> total >> resident ? resident * sysconf(_SC_PAGESIZE) : 0;
}

Progress::Progress(std::vector<std::string> loss_names, std::string memory_name, bool on_terminal)
    : loss_names_(std::move(loss_names)), memory_name_(std::move(memory_name)), on_terminal_(on_terminal) {}

void Progress::begin_epoch(int64_t batches) {
  batches_ = batches;
  images_ = 0;
  if (begun_) latest_epoch_seconds_ = epoch_.seconds();
  epoch_ = since_printed_ = {};
  wants_heading_ = on_terminal_ || !begun_;
  begun_ = true;
}

void Progress::estimate(const std::string& text) {
  estimated_ = true;
  talk((on_terminal_ ? "\r\033[K" : "") + text);
}

void Progress::head() {
  if (!wants_heading_) return;
  wants_heading_ = false;
  std::string heading =
      fmt::format("{}\n{:>11}{:>11}", on_terminal_ ? "\r\033[K" : "", "Epoch", memory_name_);
  for (const std::string& name : loss_names_) heading += fmt::format("{:>11}", name);
  talk(fmt::format("{}{:>11}{:>11}", heading, "Instances", "Size"));
}

std::string Progress::columns(const EpochLine& line) const {
  std::string text = fmt::format("{:>11}{:>11}", fmt::format("{}/{}", line.epoch, line.epochs),
                                 fmt::format("{:.2f}G", line.memory_gb));
  for (const double loss : line.losses) text += fmt::format("{:11.4g}", loss);
  return text + fmt::format("{:11}{:11}", line.instances, line.image_size);
}

void Progress::batch_done(const EpochLine& line, int64_t batches_done, int images) {
  images_ += images;
  if (!on_terminal_ || since_printed_.seconds() < 0.1) return;
  since_printed_ = {};
  if (estimated_) head();
  const double spent = epoch_.seconds();
  const double left =
      spent / static_cast<double>(batches_done) * static_cast<double>(batches_ - batches_done);
  const std::string text = fmt::format(
      "\r{}  {:3.0f}% {}/{} {:.1f} images/s, {} left in this epoch \033[K", estimated_ ? columns(line) : "",
      100.0 * static_cast<double>(batches_done) / static_cast<double>(batches_), batches_done, batches_,
      images_per_second(), duration_text(left));
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

void Progress::end_epoch(const EpochLine& line, double wait_seconds) {
  head();
  if (images_ == 0)  // resumed behind its last batch
    return talk(fmt::format("{:>11}  was trained before", fmt::format("{}/{}", line.epoch, line.epochs)));
  const double trained = epoch_.seconds();
  const double an_epoch = std::max(trained, latest_epoch_seconds_);
  const int to_come = line.epochs - line.epoch;
  talk(fmt::format("{}{}  {:.1f} images/s, {:.0f}% waiting for images{}{}", on_terminal_ ? "\r" : "",
                   columns(line), images_per_second(), 100 * wait_seconds / std::max(trained, 1e-9),
                   to_come > 0 ? ", " + duration_text(an_epoch * to_come) + " left" : "",
                   on_terminal_ ? "\033[K" : ""));
}

double Progress::images_per_second() const {
  return static_cast<double>(images_) / std::max(epoch_.seconds(), 1e-9);
}

}  // namespace marrow::train
