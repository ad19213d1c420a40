// Drawing beside work that must not stop: an error is reported once and is not passed
// on. When gnuplot is missing or hangs, it is not tried again.
//
// One thread.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace marrow::evaluate {

class DrawingAttempts {
 public:
  explicit DrawingAttempts(std::function<void(std::string_view)> say) : say_(std::move(say)) {}

  void picture(const std::function<void()>& draw);
  // The bytes that `draw` makes become the file.
  void plot(const std::filesystem::path& file, const std::function<std::string()>& draw);

 private:
  std::function<void(std::string_view)> say_;
  bool no_plots_ = false;
  bool said_ = false;
};

}  // namespace marrow::evaluate
