// What the layers of a training step take on our own kernels: a table of the classes of steps, with the share
// of the processor's peak, and with layers=1 every step.
//
//   layer_bench yolov8n starnet_s1 size=320 batch=16 threads=1 repeats=5 layers=0 bf16=0
//
// With bf16=1 there are two programs, which take turns: one of float32 and one whose products are of
// bfloat16. The ratio is the first one's time by the second one's. A name alone is a model; a second one its
// backbone. Multiply-adds of a 3x3 by Winograd count as if it were computed directly. Backward is the
// gradient of the data and of the weights together.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "marrow/base/error.h"
#include "marrow/base/random.h"
#include "marrow/benchmark/machine.h"
#include "marrow/model/zoo.h"
#include "marrow/train/native/program.h"

namespace marrow {
namespace {

struct Settings {
  std::vector<std::string> names;
  int size = 320, batch = 16, threads = 1, repeats = 5, layers = 0, bf16 = 0;
};

Settings settings_of(int argc, char** argv) {
  Settings settings;
  const std::map<std::string, int*> numbers = {{"size", &settings.size},       {"batch", &settings.batch},
                                               {"threads", &settings.threads}, {"repeats", &settings.repeats},
                                               {"layers", &settings.layers},   {"bf16", &settings.bf16}};
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const size_t equals = argument.find('=');
    if (equals == std::string::npos)
      settings.names.push_back(argument);
    else
      *numbers.at(argument.substr(0, equals)) = std::stoi(argument.substr(equals + 1));
  }
  return settings;
}

struct Row {
  double macs = 0, forward = 0, backward = 0;
  double narrow_forward = 0, narrow_backward = 0;  // of the program with bfloat16

  void add(const Row& row) {
    macs += row.macs;
    forward += row.forward;
    backward += row.backward;
    narrow_forward += row.narrow_forward;
    narrow_backward += row.narrow_backward;
  }
};

std::string line(const std::string& name, const Row& row, double peak) {
  const auto share = [&](double macs, double ms) {
    return macs == 0 || ms == 0 ? std::string() : fmt::format("{:.0f}", 100 * 2 * macs / ms / 1e6 / peak);
  };
  std::string text =
      fmt::format("{:44} {:9.2f} {:9.2f} {:9.2f} {:>8} {:>8}", name, row.macs / 1e9, row.forward,
                  row.backward, share(row.macs, row.forward), share(2 * row.macs, row.backward));
  if (row.narrow_forward > 0)
    text += fmt::format(" {:9.2f} {:9.2f} {:8.2f} {:8.2f}", row.narrow_forward, row.narrow_backward,
                        row.forward / row.narrow_forward,
                        row.narrow_backward > 0 ? row.backward / row.narrow_backward : 1);
  return text;
}

struct Turns {
  std::vector<std::vector<train::native::StepTime>> times;  // of each program, the shortest
  std::vector<double> ratios;  // of the processor time of the first program's steps by the last one's
};

// One after the other, a step at a time.
Turns take_turns(std::span<const std::unique_ptr<train::native::Program>> programs, const Tensor& images,
                 int repeats) {
  Turns turns;
  for (const auto& program : programs) turns.times.push_back(program->time_steps(images, 1, 1));
  for (int repeat = 0; repeat < repeats; ++repeat) {
    std::vector<double> processor_times;
    for (size_t i = 0; i < programs.size(); ++i) {
      const std::clock_t begin = std::clock();
      const std::vector<train::native::StepTime> once = programs[i]->time_steps(images, 1, 1);
      processor_times.push_back(static_cast<double>(std::clock() - begin));
      for (size_t step = 0; step < once.size(); ++step) {
        train::native::StepTime& best = turns.times[i][step];
        best.forward_ms = std::min(best.forward_ms, once[step].forward_ms);
        best.backward_ms = std::min(best.backward_ms, once[step].backward_ms);
      }
    }
    turns.ratios.push_back(processor_times.front() / processor_times.back());
  }
  std::ranges::sort(turns.ratios);
  return turns;
}

void run(const Settings& settings) {
  const model::Model model =
      model::make_model(settings.names.at(0), settings.names.size() > 1 ? settings.names[1] : "");
  train::native::ProgramSettings program_settings;
  for (const Node& node : model.graph.nodes)
    if (std::holds_alternative<DetectDecode>(node.operation))
      for (const Value map : node.inputs)
        program_settings.outputs.push_back({map, 0, model.graph.node(map).channels});
  if (program_settings.outputs.empty())
    program_settings.outputs.push_back(
        {model.graph.find("logits"), 0, model.graph.node(model.graph.find("logits")).channels});
  train::FlatParameters parameters(model.graph);
  const Weights weights = initialize(model.graph, 1);
  parameters.load(weights, weights);
  cpu::ThreadPool pool(settings.threads);
  Tensor images({settings.batch, 3, settings.size, settings.size});
  Random random(1, "images");
  for (float& value : images.values()) value = static_cast<float>(random.uniform());
  const cpu::SimdLevel level = cpu::choose_simd_level();
  if (settings.bf16 != 0 && !train::native::has_pair_products(level))
    throw Error(ErrorKind::kUsage, "bf16: this processor does not multiply bfloat16");
  std::deque<train::native::Workspace> workspaces;
  std::vector<std::unique_ptr<train::native::Program>> programs;
  for (int i = 0; i <= settings.bf16; ++i) {
    program_settings.bfloat16 = i == 1;
    programs.push_back(std::make_unique<train::native::Program>(model.graph, images.shape(), program_settings,
                                                                parameters, train::native::kernels_of(level),
                                                                workspaces.emplace_back(), pool));
  }
  const auto [times, ratios] = take_turns(programs, images, std::max(settings.repeats, 1));
  const double peak = benchmark::peak_gflops(level) * settings.threads;
  std::map<std::string, Row> classes;
  Row all;
  fmt::print("{:44} {:>9} {:>9} {:>9} {:>8} {:>8}", "", "GMAC", "forward", "backward", "% peak", "% peak");
  fmt::print("{}\n", settings.bf16 == 0 ? "" : "   forward  backward    ratio    ratio");
  for (size_t i = 0; i < times[0].size(); ++i) {
    const train::native::StepTime& time = times[0][i];
    Row row{time.macs, time.forward_ms, time.backward_ms};
    if (settings.bf16 != 0) {
      row.narrow_forward = times[1][i].forward_ms;
      row.narrow_backward = times[1][i].backward_ms;
    }
    if (settings.layers != 0) fmt::print("{}\n", line(time.kind + "  " + time.name, row, peak));
    classes[time.kind].add(row);
    all.add(row);
  }
  for (const auto& [kind, row] : classes) fmt::print("{}\n", line(kind, row, peak));
  fmt::print("{}\n{} ms a step, {} thread(s), peak {:.0f} GFLOP/s, arena {:.0f} MB\n", line("all", all, peak),
             static_cast<int>(all.forward + all.backward), settings.threads, peak,
             static_cast<double>(programs[0]->arena_floats()) * 4 / 1e6);
  if (settings.bf16 != 0)
    fmt::print(
        "bf16: {} ms a step, ratio {:.2f}; of the processor time of whole steps {:.2f} (median of turns)\n",
        static_cast<int>(all.narrow_forward + all.narrow_backward),
        (all.forward + all.backward) / (all.narrow_forward + all.narrow_backward), ratios[ratios.size() / 2]);
}

}  // namespace
}  // namespace marrow

int main(int argc, char** argv) {
  try {
    marrow::run(marrow::settings_of(argc, argv));
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
