#include "support/opencv_turns.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <system_error>
#include <vector>

#include "marrow/base/error.h"
#include "marrow/base/random.h"
#include "marrow/base/text.h"
#include "marrow/cpu/thread_pool.h"
#include "marrow/onnx/write/export.h"
#include "marrow/weights/safetensors.h"
#include "support/export_check.h"
#include "support/program_files.h"

namespace marrow::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kOption = "--runtime opencv: ";

void write_files(const fs::path& stem, const passes::GraphWithWeights& source,
                 const benchmark::NetworkRunOptions& o) {
  passes::GraphWithWeights network = source;
  network.graph.taps.clear();
  onnx::write_model(stem.string() + ".onnx",
                    onnx::export_model(network, {.batch = o.batch, .height = o.height, .width = o.width}));
  Tensor input({o.batch, network.graph.nodes.front().channels, o.height, o.width});
  Random random(1, "benchmark");
  for (float& value : input.values()) value = static_cast<float>(random.uniform(0, 1));
  engine::Engine engine(network.graph, network.weights, input.shape(), {},
                        {.threads = o.engine.threads, .deploy = false});
  engine.run(input);
  weights::write_safetensors(stem.string() + ".io", {{"input", input}, {"output", engine.output(0)}}, {});
}

void remove_files(const fs::path& stem) {
  std::error_code ignored;
  for (const char* suffix : {".onnx", ".io"}) fs::remove(stem.string() + suffix, ignored);
}

}  // namespace

OpenCvTurns::OpenCvTurns(const passes::GraphWithWeights& network, const benchmark::NetworkRunOptions& options)
    : stem_(fs::temp_directory_path() / fmt::format("marrow_turns_{}", ::getpid())) {
  const auto program = find_beside(kOnnxChecker);
  if (!program)
    throw Error(ErrorKind::kUnsupported,
                fmt::format("{}{} is not built; it needs libopencv-dnn-dev", kOption, kOnnxChecker));
  if (const std::string_view obstacle = opencv_obstacle(network.graph, options.batch); !obstacle.empty())
    throw Error(ErrorKind::kUnsupported, fmt::format("{}{}; wanted --batch 1", kOption, obstacle));
  std::string line;
  try {
    write_files(stem_, network, options);
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
      throw Error(ErrorKind::kFile, "no socket can be made");
    socket_ = ends[0];
    const int threads = cpu::thread_count(options.engine.threads);
    child_.emplace(
        *program,
        std::vector<std::string>{stem_.string() + ".onnx", stem_.string() + ".io", std::to_string(threads)},
        ChildOutput{.socket = ends[1]});
    ::close(ends[1]);
    line = read_line();
  } catch (...) {
    remove_files(stem_);
    throw;
  }
  remove_files(stem_);
  const nlohmann::json answer = nlohmann::json::parse(line, nullptr, false);
  const std::string missing =
      answer.is_object() ? answer.value("missing", answer.value("error", "")) : "it ended without a word";
  if (!missing.empty()) {
    ::close(socket_);
    throw Error(ErrorKind::kUnsupported, kOption + printable(missing, 500));
  }
  name_ = answer.value("name", "OpenCV");
  difference_ = answer["difference"].is_number() ? answer["difference"].get<double>() : INFINITY;
}

OpenCvTurns::~OpenCvTurns() {
  ::close(socket_);  // at which it ends
}

std::string OpenCvTurns::read_line() {
  std::string line;
  for (char letter = 0; ::read(socket_, &letter, 1) == 1 && letter != '\n';) line += letter;
  return line;
}

double OpenCvTurns::run_ms() {
  ::send(socket_, "\n", 1, MSG_NOSIGNAL);
  const std::string line = read_line();
  char* end = nullptr;
  const double ms = std::strtod(line.c_str(), &end);
  if (line.empty() || *end != '\0') throw Error(ErrorKind::kUnsupported, name_ + " ended while it ran");
  return ms;
}

InTurns time_in_turns(benchmark::NetworkRun& ours, OpenCvTurns& theirs, double seconds) {
  constexpr int kRunsOfTurn = 3;  // that count
  std::vector<double> our_times, their_times;
  double total_ms = 0;
  while (total_ms < 1000 * seconds || our_times.empty()) {
    ours.run();
    for (int i = 0; i < kRunsOfTurn; ++i) our_times.push_back(benchmark::time_ms([&] { ours.run(); }));
    theirs.run_ms();
    for (int i = 0; i < kRunsOfTurn; ++i) their_times.push_back(theirs.run_ms());
    for (int i = 1; i <= kRunsOfTurn; ++i)
      total_ms += our_times[our_times.size() - i] + their_times[their_times.size() - i];
  }
  return {benchmark::latency_of(our_times), benchmark::latency_of(their_times)};
}

}  // namespace marrow::cli
