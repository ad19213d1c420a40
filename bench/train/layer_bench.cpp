// What the layers of a training step take on our own kernels: a table of the classes of steps, with the share
// of the processor's peak, and with layers=1 every step.
//
//   layer_bench yolov8n starnet_s1 size=320 batch=16 threads=1 repeats=5 layers=0
//
// A name alone is a model; a second one its backbone. Multiply-adds of a 3x3 by Winograd count as if it were
// computed directly. Backward is the gradient of the data and of the weights together.
#include <fmt/format.h>

#include <map>
#include <string>
#include <vector>

#include "marrow/base/random.h"
#include "marrow/benchmark/machine.h"
#include "marrow/model/zoo.h"
#include "marrow/train/native/program.h"

namespace marrow {
namespace {

struct Settings {
  std::vector<std::string> names;
  int size = 320, batch = 16, threads = 1, repeats = 5, layers = 0;
};

Settings settings_of(int argc, char** argv) {
  Settings settings;
  const std::map<std::string, int*> numbers = {{"size", &settings.size},
                                               {"batch", &settings.batch},
                                               {"threads", &settings.threads},
                                               {"repeats", &settings.repeats},
                                               {"layers", &settings.layers}};
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
};

std::string line(const std::string& name, const Row& row, double peak) {
  const auto share = [&](double macs, double ms) {
    return macs == 0 || ms == 0 ? std::string() : fmt::format("{:.0f}", 100 * 2 * macs / ms / 1e6 / peak);
  };
  return fmt::format("{:44} {:9.2f} {:9.2f} {:9.2f} {:>8} {:>8}", name, row.macs / 1e9, row.forward,
                     row.backward, share(row.macs, row.forward), share(2 * row.macs, row.backward));
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
  train::native::Workspace workspace;
  Tensor images({settings.batch, 3, settings.size, settings.size});
  Random random(1, "images");
  for (float& value : images.values()) value = static_cast<float>(random.uniform());
  train::native::Program program(model.graph, images.shape(), program_settings, parameters,
                                 train::native::kernels_of(cpu::choose_simd_level()), workspace, pool);
  const std::vector<train::native::StepTime> times = program.time_steps(images, 1, settings.repeats);
  const double peak = benchmark::peak_gflops(cpu::choose_simd_level()) * settings.threads;
  std::map<std::string, Row> classes;
  Row all;
  fmt::print("{:44} {:>9} {:>9} {:>9} {:>8} {:>8}\n", "", "GMAC", "forward", "backward", "% peak", "% peak");
  for (const train::native::StepTime& time : times) {
    const Row row{time.macs, time.forward_ms, time.backward_ms};
    if (settings.layers != 0) fmt::print("{}\n", line(time.kind + "  " + time.name, row, peak));
    for (Row* sum : {&classes[time.kind], &all}) {
      sum->macs += row.macs;
      sum->forward += row.forward;
      sum->backward += row.backward;
    }
  }
  for (const auto& [kind, row] : classes) fmt::print("{}\n", line(kind, row, peak));
  fmt::print("{}\n{} ms a step, {} thread(s), peak {:.0f} GFLOP/s, arena {:.0f} MB\n", line("all", all, peak),
             static_cast<int>(all.forward + all.backward), settings.threads, peak,
             static_cast<double>(program.arena_floats()) * 4 / 1e6);
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
