// Runs the built program as a user does, and catches what it says.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "marrow/base/stopwatch.h"
#include "marrow/graph/graph.h"
#include "marrow/model/checkpoint.h"
#include "marrow/model/zoo.h"
#include "support/expect_says.h"
#include "support/no_network.h"
#include "support/temporary_folder.h"

namespace marrow::testing {

namespace fs = std::filesystem;

struct ProgramResult {
  int code = -1;  // exit code; minus the signal that ended it
  std::string out;
  std::string err;
  int64_t peak_bytes = 0;        // of memory
  double seconds = 0;            // by the clock
  double processor_seconds = 0;  // with those of the programs that it started
};

struct ProgramOptions {
  fs::path folder = ".";  // to run in
  std::string stdout_to;  // a file instead of a capture
  std::string stderr_to;
  bool network = false;                      // it may open Internet sockets; otherwise that ends it
  std::optional<unsigned> file_bytes_limit;  // RLIMIT_FSIZE; captures are pipes, which it spares
  unsigned seconds = 0;                      // to live, then SIGALRM ends it; 0: as many as it takes
  double killed_after = 0;                   // seconds, by SIGKILL; 0: never
};

inline std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_text(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

// One output of the child: a file, or a pipe that a thread empties.
class Capture {
 public:
  Capture(const std::string& to, std::string& text) {
    if (!to.empty()) {
      write_end_ = ::open(to.c_str(), O_WRONLY | O_CLOEXEC);
      return;
    }
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) != 0) return;
    write_end_ = ends[1];
    reader_ = std::thread([read_end = ends[0], &text] {
      char buffer[4096];
      for (ssize_t count; (count = ::read(read_end, buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<size_t>(count));
      ::close(read_end);
    });
  }
  int write_end() const { return write_end_; }
  void finish() {
    ::close(write_end_);
    if (reader_.joinable()) reader_.join();
  }

 private:
  int write_end_ = -1;
  std::thread reader_;
};

inline ProgramResult run_program(std::vector<std::string> arguments, const ProgramOptions& options = {}) {
  arguments.insert(arguments.begin(), MARROW_PROGRAM);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  ProgramResult result;
  const Stopwatch watch;
  Capture out(options.stdout_to, result.out);
  Capture err(options.stderr_to, result.err);
  const pid_t child = ::fork();
  if (child == 0) {
    if (options.file_bytes_limit) {
      const rlimit limit = {*options.file_bytes_limit, *options.file_bytes_limit};
      ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    ::alarm(options.seconds);
    if (!options.network) forbid_network();
    if (::dup2(out.write_end(), 1) < 0 || ::dup2(err.write_end(), 2) < 0 ||
        ::chdir(options.folder.c_str()) != 0)
      ::_exit(99);
    ::execv(argv[0], argv.data());
    ::_exit(99);
  }
  std::thread killer;
  if (options.killed_after > 0)
    killer = std::thread([child, &options] {
      std::this_thread::sleep_for(std::chrono::duration<double>(options.killed_after));
      ::kill(child, SIGKILL);  // its number stays until it is waited for
    });
  out.finish();
  err.finish();
  if (killer.joinable()) killer.join();
  int status = 0;
  rusage used = {};
  ::wait4(child, &status, 0, &used);
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  result.peak_bytes = int64_t{used.ru_maxrss} << 10;
  result.seconds = watch.seconds();
  const auto seconds = [](const timeval& time) { return double(time.tv_sec) + double(time.tv_usec) * 1e-6; };
  result.processor_seconds = seconds(used.ru_utime) + seconds(used.ru_stime);
  return result;
}

inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// A checkpoint of a network with random weights that finds something in every image.
inline fs::path write_detector(const fs::path& path, const std::string& name = "yolov8n") {
  const model::Model model = model::make_model(name, {}, {.names = {"red box", "green/disc", "bar"}});
  model::save_checkpoint(path, model, randomize(model.graph, 3));
  return path;
}

inline fs::path write_classifier(const fs::path& path, int classes = 7) {
  const model::Model model = model::make_model("starnet_s050", {}, {.classes = classes});
  model::save_checkpoint(path, model, randomize(model.graph, 3));
  return path;
}

}  // namespace marrow::testing
