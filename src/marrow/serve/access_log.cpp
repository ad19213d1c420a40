#include "marrow/serve/access_log.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <ctime>

#include "marrow/serve/http/target.h"

namespace marrow::serve {
namespace {

constexpr size_t kMostLines = 10'000;  // that wait

}  // namespace

std::string utc_time() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto part =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm utc = {};
  gmtime_r(&seconds, &utc);
  std::array<char, 32> text;
  const size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  return fmt::format("{}.{:03}Z", std::string_view(text.data(), size), part);
}

AccessLog::AccessLog(std::FILE* file) : file_(file) {
  if (file_ != nullptr) thread_ = std::thread([this] { work(); });
}

AccessLog::~AccessLog() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  added_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void AccessLog::add(const Line& line) {
  if (file_ == nullptr) return;
  std::string text = fmt::format(
      "{{\"time\":\"{}\",\"peer\":\"{}\",\"method\":\"{}\",\"target\":\"{}\",\"route\":\"{}\",\"status\":{},"
      "\"bytes_in\":{},\"bytes_out\":{},\"ms\":{:.3f}}}\n",
      utc_time(), loggable(line.peer), loggable(line.method), loggable(line.target), line.route, line.status,
      line.bytes_in, line.bytes_out, 1e3 * line.seconds);
  const std::lock_guard lock(mutex_);
  if (lines_.size() >= kMostLines) {
    ++dropped_;
    return;
  }
  lines_.push_back(std::move(text));
  added_.notify_one();
}

void AccessLog::work() {
  while (true) {
    std::deque<std::string> lines;
    size_t dropped = 0;
    {
      std::unique_lock lock(mutex_);
      added_.wait(lock, [&] { return stopping_ || !lines_.empty(); });
      if (lines_.empty()) return;
      lines.swap(lines_);
      dropped = std::exchange(dropped_, 0);
    }
    for (const std::string& line : lines) std::fputs(line.c_str(), file_);
    if (dropped > 0) fmt::print(file_, "{{\"time\":\"{}\",\"dropped_lines\":{}}}\n", utc_time(), dropped);
    std::fflush(file_);
  }
}

}  // namespace marrow::serve
