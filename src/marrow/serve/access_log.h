// A line of JSON for each request, on stdout. Any thread; a thread of its own writes, so that a reader that
// does not read holds nobody up: then lines are dropped, and the next one says how many.
#pragma once

#include <condition_variable>
#include <cstdio>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

namespace marrow::serve {

class AccessLog {
 public:
  // Null: nothing is written.
  explicit AccessLog(std::FILE* file);
  // Writes what waits.
  ~AccessLog();
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  struct Line {
    std::string peer;
    std::string method, target;  // as they came, whatever they hold
    const char* route = "";
    int status = 0;
    size_t bytes_in = 0, bytes_out = 0;
    double seconds = 0;
  };
  void add(const Line& line);

 private:
  void work();

  std::FILE* file_;
  std::mutex mutex_;
  std::condition_variable added_;
  std::deque<std::string> lines_;
  size_t dropped_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

// 2026-01-31T08:15:30.123Z
std::string utc_time();

}  // namespace marrow::serve
