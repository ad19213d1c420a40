// A line on stderr that is written over while something runs.
#pragma once

#include <cstdint>
#include <string>

namespace marrow::cli {

// Says nothing where stderr is no terminal. The line is gone when the object is.
class ProgressLine {
 public:
  ProgressLine();
  ~ProgressLine() { clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void show(const std::string& what, int64_t done, int64_t total);  // "what: 2 of 5"
  void show(const std::string& what, double share);                 // "what: 40 %"
  void clear();

 private:
  void show(const std::string& text);

  bool terminal_;
  bool shown_ = false;
};

}  // namespace marrow::cli
