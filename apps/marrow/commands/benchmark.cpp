// marrow benchmark: how fast is this network on this machine?
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "commands/commands.h"
#include "marrow/base/counted.h"
#include "marrow/base/error.h"
#include "marrow/benchmark/end_to_end.h"
#include "marrow/benchmark/latency.h"
#include "marrow/benchmark/machine.h"
#include "marrow/benchmark/network_run.h"
#include "marrow/graph/passes/deploy.h"
#include "marrow/model/summary.h"
#include "marrow/predict/input_size.h"
#include "support/common_options.h"
#include "support/open_model.h"
#include "support/opencv_turns.h"

namespace marrow::cli {
namespace {

using nlohmann::json;

struct Options {
  std::string model;
  std::string backbone;
  model::ImportOptions import;
  std::vector<int> imgsz;
  engine::EngineOptions engine;
  int batch = 1;
  double seconds = 3;
  int layers = 15;
  std::string runtime = "marrow";
  bool end_to_end = false;
  bool fast_decode = false;
  std::string source;
  bool as_json = false;
};

std::string latency_text(const benchmark::Latency& latency, int images) {
  return fmt::format("median {:.2f} ms, p95 {:.2f} ms, best {:.2f} ms of {} runs; {:.1f} images/s",
                     latency.median_ms, latency.p95_ms, latency.best_ms, latency.runs,
                     1000 * images / latency.median_ms);
}

// Another runtime's times, and Marrow's from the same turns.
struct Beside {
  std::string name;
  double difference = 0;
  InTurns times;

  double ratio() const { return times.theirs.median_ms / times.ours.median_ms; }
};

Beside time_opencv(const passes::GraphWithWeights& network, benchmark::NetworkRun& run,
                   const benchmark::NetworkRunOptions& options, double seconds) {
  OpenCvTurns opencv(network, options);
  return {opencv.name(), opencv.difference(), time_in_turns(run, opencv, 2 * seconds)};
}

json latency_json(const benchmark::Latency& latency, int images) {
  return {{"runs", latency.runs},
          {"median_ms", latency.median_ms},
          {"p95_ms", latency.p95_ms},
          {"best_ms", latency.best_ms},
          {"images_per_second", 1000 * images / latency.median_ms}};
}

void print_beside(const Beside& beside, int images) {
  fmt::print(
      "\nIn turns with {}, whose output differs by {:.1e} of the largest:\n  Marrow  {}\n  OpenCV  {}\n  "
      "OpenCV takes "
      "{:.2f} times as long\n",
      beside.name, beside.difference, latency_text(beside.times.ours, images),
      latency_text(beside.times.theirs, images), beside.ratio());
}

json beside_json(const Beside& beside, int images) {
  return {{"name", beside.name},
          {"difference", beside.difference},
          {"network", latency_json(beside.times.theirs, images)},
          {"marrow", latency_json(beside.times.ours, images)},
          {"ratio", beside.ratio()}};
}

// Of what all threads could do together.
double share_of_peak(double macs, double ms, double peak) {
  return 2 * macs / (ms * 1e6) / peak;
}

void print_layers(const std::vector<engine::StepTime>& steps, size_t shown, double peak) {
  double total = 0;
  for (const engine::StepTime& step : steps) total += step.ms;
  fmt::print("\n{:>9} {:>6} {:>10} {:>6}  {:<32} {}\n", "ms", "share", "MMAC", "peak", "layer", "kernel");
  for (size_t i = 0; i < std::min(shown, steps.size()); ++i) {
    const engine::StepTime& step = steps[i];
    const std::string peak_text =
        step.macs > 0 ? fmt::format("{:.0f} %", 100 * share_of_peak(step.macs, step.ms, peak)) : "";
    const std::string macs_text = step.macs > 0 ? fmt::format("{:.2f}", step.macs / 1e6) : "";
    fmt::print("{:>9.3f} {:>5.1f}% {:>10} {:>6}  {:<32} {}\n", step.ms, 100 * step.ms / total, macs_text,
               peak_text, step.name, step.kernel);
  }
  if (shown < steps.size())
    fmt::print("{:>9} ({} more; --layers 0 shows all)\n", "...", steps.size() - shown);
}

json layers_json(const std::vector<engine::StepTime>& steps, double peak) {
  json rows = json::array();
  for (const engine::StepTime& step : steps) {
    json row = {{"layer", step.name}, {"kernel", step.kernel}, {"ms", step.ms}, {"macs", step.macs}};
    if (step.macs > 0) row["share_of_peak"] = share_of_peak(step.macs, step.ms, peak);
    rows.push_back(std::move(row));
  }
  return rows;
}

void print_end_to_end(const benchmark::EndToEnd& whole) {
  fmt::print("\nThe whole way, {}x{} JPEG of {:.0f} kB in a network of {}x{} (width x height): {}\n",
             whole.picture.width, whole.picture.height, static_cast<double>(whole.bytes) / 1e3,
             whole.network.width, whole.network.height, latency_text(whole.total, 1));
  for (const auto& [what, ms] :
       {std::pair("decode", whole.decode_ms), std::pair("preprocess", whole.preprocess_ms),
        std::pair("network", whole.network_ms), std::pair("postprocess", whole.postprocess_ms)})
    fmt::print("{:>9.3f} {:>5.1f}%  {}\n", ms, 100 * ms / whole.total.median_ms, what);
}

json end_to_end_json(const benchmark::EndToEnd& whole) {
  return {
      {"picture", {{"width", whole.picture.width}, {"height", whole.picture.height}, {"bytes", whole.bytes}}},
      {"imgsz", {whole.network.height, whole.network.width}},
      {"total", latency_json(whole.total, 1)},
      {"decode_ms", whole.decode_ms},
      {"preprocess_ms", whole.preprocess_ms},
      {"network_ms", whole.network_ms},
      {"postprocess_ms", whole.postprocess_ms}};
}

int benchmark(const Options& o) {
  OpenedModel opened;
  const double load_ms =
      benchmark::time_ms([&] { opened = open_model(o.model, {.backbone = o.backbone, .import = o.import}); });
  const model::Model& model = opened.trained.model;
  const auto [width, height] = predict::input_size(o.model, model, o.imgsz);

  passes::GraphWithWeights network = {model.graph, opened.trained.weights};
  const double deploy_ms =
      o.engine.deploy
          ? benchmark::time_ms([&] { network = passes::deploy(network, {.threads = o.engine.threads}); })
          : 0;
  const benchmark::NetworkRunOptions input = {
      .batch = o.batch, .height = height, .width = width, .engine = o.engine};
  benchmark::NetworkRun run(network, input);
  const benchmark::Latency latency =
      benchmark::measure_latency({.warm_up_seconds = 0.5, .seconds = o.seconds}, [&] { run.run(); });

  const benchmark::Machine machine = benchmark::this_machine();
  const int threads = o.engine.threads == 0 ? machine.cores : o.engine.threads;
  const double peak = benchmark::peak_gflops(machine.simd) * std::min(threads, machine.cores);
  constexpr int kRepeats = 10;
  const std::vector<engine::StepTime> steps = run.slowest_steps(kRepeats);
  std::optional<Beside> beside;
  if (o.runtime == "opencv") beside = time_opencv(network, run, input, o.seconds);
  std::optional<benchmark::EndToEnd> whole;
  if (o.end_to_end)
    whole = benchmark::measure_end_to_end(opened.trained, {.source = o.source,
                                                           .size = {width, height},
                                                           .rect = model.fixed_height == 0,
                                                           .fast_decode = o.fast_decode,
                                                           .engine = o.engine,
                                                           .seconds = o.seconds});

  if (o.as_json) {
    json object = {{"model", o.model},
                   {"backbone", o.backbone},
                   {"trained", opened.has_weights},
                   {"deployed", o.engine.deploy},
                   {"imgsz", {height, width}},
                   {"batch", o.batch},
                   {"precision", engine::precision_name(o.engine.precision)},
                   {"threads", threads},
                   {"cpu", machine.cpu},
                   {"simd", cpu::simd_name(machine.simd)},
                   {"cache_bytes", machine.cache_bytes},
                   {"parameters", model::count_parameters(network.graph)},
                   {"macs", run.macs()},
                   {"load_ms", load_ms},
                   {"deploy_ms", deploy_ms},
                   {"compile_ms", run.compile_ms()},
                   {"peak_gflops", peak},
                   {"peak_memory_bytes", benchmark::peak_memory_bytes()},
                   {"network", latency_json(latency, o.batch)},
                   {"layers", layers_json(steps, peak)}};
    if (beside) object["opencv"] = beside_json(*beside, o.batch);
    if (whole) object["end_to_end"] = end_to_end_json(*whole);
    fmt::print("{}\n", object.dump(-1, ' ', false, json::error_handler_t::replace));
    return 0;
  }
  fmt::print("{}{}{}, {}, batch {}, {}x{}, {}\n", o.model, o.backbone.empty() ? "" : " on " + o.backbone,
             opened.has_weights ? "" : " (random weights)", o.engine.deploy ? "deployed" : "as trained",
             o.batch, height, width, engine::precision_name(o.engine.precision));
  fmt::print("{}; {}, {}; {:.0f} GFLOP/s of float32 at best\n", machine.cpu, cpu::simd_name(machine.simd),
             counted(threads, "thread"), peak);
  fmt::print(
      "{} parameters, {:.3f} GMAC; load {:.0f} ms, deploy {:.0f} ms, compile {:.0f} ms, at most {:.0f} MB of "
      "memory\n",
      model::count_parameters(network.graph), static_cast<double>(run.macs()) / 1e9, load_ms, deploy_ms,
      run.compile_ms(), static_cast<double>(benchmark::peak_memory_bytes()) / 1e6);
  fmt::print(
      "\nThe network alone (no decoding, letterbox, suppression): {}; {:.0f} % of {}\n",
      latency_text(latency, o.batch),
      100 * share_of_peak(static_cast<double>(run.macs()), latency.median_ms, peak),
      o.engine.precision == engine::Precision::kFloat32 ? "the peak" : "float32's peak, as the shares below");
  print_layers(steps, o.layers == 0 ? steps.size() : static_cast<size_t>(o.layers), peak);
  if (beside) print_beside(*beside, o.batch);
  if (whole) print_end_to_end(*whole);
  return 0;
}

}  // namespace

void declare_benchmark(Command& command) {
  auto options = std::make_shared<Options>();
  command.summary("Time a network on this machine, layer by layer");
  add_model(command, options->model);
  add_training_option(command, "backbone", &options->backbone);
  add_foreign_file(command, options->import);
  add_image_size(command, options->imgsz);
  add_engine(command, options->engine);
  command.option("--batch", &options->batch, "Images at once").range(1, 1024);
  add_seconds(command, options->seconds);
  command.option("--layers", &options->layers, "Layers to show, the slowest first; 0 = all")
      .range(0, 100'000);
  add_deploy(command, options->engine.deploy);
  command
      .option("--runtime", &options->runtime,
              "marrow; opencv: time the same network in OpenCV too, in turns with Marrow's engine")
      .choices({"marrow", "opencv"});
  command.flag("--end-to-end", &options->end_to_end,
               "Time the whole way too, from --source, with or without --fast-decode: decode, letterbox, "
               "network, suppression");
  command.option("--source", &options->source, "The image of --end-to-end")
      .type("FILE")
      .without("a drawn one of 1440x1920");
  add_fast_decode(command, options->fast_decode);
  add_json(command, options->as_json);
  command.example("marrow benchmark yolov8n --backbone starnet_s1 --imgsz 320 --threads 1");
  command.action([options] { return benchmark(*options); });
}

}  // namespace marrow::cli
