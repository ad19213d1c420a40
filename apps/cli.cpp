#include "cli.h"

#include "base/thread_pool.h"

namespace marrow::cli {

void add_threads_option(CLI::App& command, int& threads) {
  constexpr int kMostThreads = 1024;
  command.add_option("--threads", threads, "Threads; 0 = every core this process may use")
      ->check(CLI::Range(0, kMostThreads))
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
      ->check(CLI::Range(kSmallest, kLargest))
      ->type_name("PIXELS");
}

void set_example(CLI::App& command, const std::string& example) {
  command.footer("\nExample:\n  " + example);
}

}  // namespace marrow::cli
