#include "cli.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "base/text.h"

namespace marrow::cli {

CLI::Validator in_range(double smallest, double largest) {
  const auto refusal = [=](const std::string& text) {
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    const bool number = end != text.c_str() && *end == '\0';
    return number && value >= smallest && value <= largest
               ? std::string()
               : fmt::format("'{}' is not a number from {} to {}", text, smallest, largest);
  };
  return {refusal, fmt::format("{}..{}", smallest, largest)};
}

void add_threads_option(CLI::App& command, int& threads) {
  constexpr int kMostThreads = 1024;
  command.add_option("--threads", threads, "Threads; 0 = every core this process may use")
      ->check(in_range(0, kMostThreads))
      ->capture_default_str();
}

void add_image_size_option(CLI::App& command, std::vector<int>& size, const std::string& default_text) {
  constexpr int kSmallest = 1;
  constexpr int kLargest = 16384;
  command
      .add_option("--imgsz", size,
                  "Network input in pixels: one number, or height,width [default: " + default_text + "]")
      ->delimiter(',')
      ->expected(1, 2)
      ->check(in_range(kSmallest, kLargest))
      ->type_name("PIXELS");
}

bool is_checkpoint_path(const std::string& model) {
  static constexpr std::array kSuffixes = {".safetensors", ".pt", ".pth", ".tar", ".pdparams"};
  const std::filesystem::path path = model;
  const std::string suffix = to_lower(path.extension().string());
  if (suffix == ".yaml" || suffix == ".yml") return false;
  std::error_code ignored;
  return std::ranges::find(kSuffixes, suffix) != kSuffixes.end() ||
         std::filesystem::is_regular_file(path, ignored);
}

void set_example(CLI::App& command, const std::string& example) {
  command.footer("\nExample:\n  " + example);
}

}  // namespace marrow::cli
