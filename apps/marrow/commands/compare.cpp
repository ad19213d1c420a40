// marrow compare: which backbone is best on this machine?
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "commands/commands.h"
#include "marrow/base/counted.h"
#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/talk.h"
#include "marrow/benchmark/choice.h"
#include "marrow/benchmark/comparison.h"
#include "marrow/benchmark/machine.h"
#include "marrow/cpu/thread_pool.h"
#include "marrow/data/dataset.h"
#include "marrow/evaluate/measure_detector.h"
#include "marrow/evaluate/plots/drawing_attempts.h"
#include "marrow/evaluate/plots/tradeoff_plot.h"
#include "marrow/graph/passes/deploy.h"
#include "marrow/model/summary.h"
#include "marrow/nn/backbones/backbone.h"
#include "marrow/train/recipe/train_options.h"
#include "support/common_options.h"
#include "support/measure.h"
#include "support/open_data.h"
#include "support/open_model.h"
#include "support/progress_line.h"

namespace marrow::cli {
namespace {

using nlohmann::json;

struct Options {
  std::vector<std::string> checkpoints;
  std::string model = "yolov8n";
  std::vector<std::string> backbones;
  std::vector<int> imgsz;
  std::vector<int> threads = {0};
  std::string data;
  std::string split = "val";
  double seconds = 2;
  bool autotune = true;
  benchmark::ChoiceOptions choice;
  RunFolderOptions folder{.project = "runs", .name = "compare"};
  bool as_json = false;
};

// One input size on one number of threads.
struct Setting {
  int size = 0;
  int threads = 0;

  std::string text() const { return fmt::format("{} px, {}", size, counted(threads, "thread")); }
  std::string file_name() const { return fmt::format("pareto_{}px_{}t", size, threads); }
};

struct Entrant {
  std::string name;
  model::TrainedModel trained;
  bool has_weights = false;
  passes::GraphWithWeights network;  // deployed
};

Entrant open_entrant(const std::string& name, const std::string& model, const std::string& backbone,
                     int threads) {
  OpenedModel opened = open_model(model, {.backbone = backbone, .import = {}});
  if (opened.trained.model.task == "classify")
    throw Error(ErrorKind::kUsage, name + ": a classifier; detectors are compared");
  passes::GraphWithWeights network =
      passes::deploy({opened.trained.model.graph, opened.trained.weights}, {.threads = threads});
  return {name, std::move(opened.trained), opened.has_weights, std::move(network)};
}

// What tells checkpoints apart: the run that a checkpoint lies in ("runs/train2/weights/best.safetensors" is
// "train2"), or else its own name; with as many folders before it as it takes to be alone, and the file's
// name where that is what differs.
std::vector<std::string> checkpoint_names(const std::vector<std::string>& files) {
  const auto name_of = [](const std::filesystem::path& file, size_t folders, bool with_file) {
    std::vector<std::string> parts;
    for (const std::filesystem::path& part : file.lexically_normal()) parts.push_back(part.string());
    std::string name = file.stem().string();
    if (parts.size() >= 3 && parts[parts.size() - 2] == "weights") {
      parts.resize(parts.size() - 2);
      name = with_file ? parts.back() + "/" + name : parts.back();
    }
    parts.pop_back();
    for (size_t i = 0; i < folders && !parts.empty(); ++i, parts.pop_back()) name = parts.back() + "/" + name;
    return name;
  };
  std::vector<std::string> names = files;  // the same file twice keeps its path
  constexpr size_t kMostFolders = 8;
  for (size_t i = 0; i < files.size(); ++i) {
    const auto alone = [&](size_t folders, bool with_file) {
      return std::ranges::count_if(files, [&](const std::string& other) {
               return name_of(other, folders, with_file) == name_of(files[i], folders, with_file);
             }) == 1;
    };
    for (size_t k = 0; k < 2 * kMostFolders; ++k)
      if (alone(k / 2, k % 2 == 1)) {
        names[i] = name_of(files[i], k / 2, k % 2 == 1);
        break;
      }
  }
  return names;
}

// Checkpoints first; without any, YOLOv8 as it is and on a backbone of each family.
std::vector<Entrant> open_entrants(const Options& o) {
  std::vector<std::string> backbones = o.backbones;
  if (backbones.empty() && o.checkpoints.empty())
    for (const nn::BackboneFamily* family : nn::backbone_families()) backbones.push_back(family->name);
  if (backbones == std::vector<std::string>{"all"}) {
    backbones.clear();
    for (const nn::BackboneFamily* family : nn::backbone_families())
      for (const nn::BackboneVariant& variant : family->variants) backbones.push_back(variant.name);
  }
  // Deployed once, for every number of threads.
  const int threads = std::ranges::count(o.threads, 0) > 0 ? 0 : std::ranges::max(o.threads);
  std::vector<Entrant> entrants;
  const std::vector<std::string> names = checkpoint_names(o.checkpoints);
  for (size_t i = 0; i < names.size(); ++i)
    entrants.push_back(open_entrant(names[i], o.checkpoints[i], {}, threads));
  if (!backbones.empty()) entrants.push_back(open_entrant(o.model, o.model, {}, threads));
  for (const std::string& backbone : backbones)
    entrants.push_back(open_entrant(o.model + " on " + backbone, o.model, backbone, threads));
  return entrants;
}

// Those asked for; else the one that a file is fixed at, else what the first checkpoint was trained at, else
// what detectors are trained with.
std::vector<int> sizes_of(const Options& o, const std::vector<Entrant>& entrants) {
  if (!o.imgsz.empty()) return o.imgsz;
  for (const Entrant& entrant : entrants)
    if (entrant.trained.model.fixed_height > 0)
      return {square_input_size(entrant.name, entrant.trained.model, 0)};
  for (const Entrant& entrant : entrants)
    if (entrant.has_weights) return {square_input_size(entrant.name, entrant.trained.model, 0)};
  return {train::kDetectionSize};
}

std::vector<Setting> settings_of(const Options& o, const std::vector<Entrant>& entrants) {
  int stride = 1;
  for (const Entrant& entrant : entrants) stride = std::max(stride, entrant.trained.model.largest_stride);
  std::vector<Setting> settings;
  for (const int size : sizes_of(o, entrants)) {
    const int fitting = (size + stride - 1) / stride * stride;
    for (const Entrant& entrant : entrants) square_input_size(entrant.name, entrant.trained.model, fitting);
    for (const int threads : o.threads) settings.push_back({fitting, cpu::thread_count(threads)});
  }
  return settings;
}

// The one given, which fits every checkpoint.
std::optional<data::Dataset> measured_dataset(const Options& o, const std::vector<Entrant>& entrants) {
  if (o.data.empty()) return std::nullopt;
  data::Dataset dataset = open_dataset(o.data);
  for (const Entrant& entrant : entrants)
    if (entrant.has_weights) check_task(entrant.name, entrant.trained.model, o.data, dataset);
  return dataset;
}

std::vector<std::optional<double>> measure_maps(const Options& o, const std::optional<data::Dataset>& dataset,
                                                const std::vector<Entrant>& entrants, int size) {
  std::vector<std::optional<double>> maps(entrants.size());
  if (!dataset) return maps;
  for (size_t i = 0; i < entrants.size(); ++i) {
    if (!entrants[i].has_weights) continue;
    talk(fmt::format("measuring {} at {} px", entrants[i].name, size));
    maps[i] =
        evaluate::measure_detector(entrants[i].trained, *dataset, {.split = o.split, .image_size = size})
            .ultralytics.map50_95();
  }
  return maps;
}

struct Measured {
  Setting setting;
  std::vector<benchmark::Contender> contenders;
  std::vector<benchmark::Latency> latencies;
};

Measured measure(const Options& o, std::vector<Entrant>& entrants, const Setting& setting,
                 const std::vector<std::optional<double>>& maps) {
  std::vector<passes::GraphWithWeights> networks;
  for (const Entrant& entrant : entrants) networks.push_back(entrant.network);
  ProgressLine line;
  const std::vector<benchmark::ComparedNetwork> times =
      benchmark::time_in_turns(networks,
                               {.input = {.batch = 1,
                                          .height = setting.size,
                                          .width = setting.size,
                                          .engine = {.threads = setting.threads, .autotune = o.autotune}},
                                .seconds = o.seconds},
                               [&](double share) { line.show(setting.text(), share); });
  Measured measured{setting, {}, {}};
  for (size_t i = 0; i < entrants.size(); ++i) {
    measured.contenders.push_back({entrants[i].name, times[i].latency.median_ms,
                                   static_cast<double>(model::count_parameters(entrants[i].network.graph)),
                                   static_cast<double>(times[i].macs), maps[i]});
    measured.latencies.push_back(times[i].latency);
  }
  return measured;
}

// The fastest first.
std::vector<size_t> by_latency(const std::vector<benchmark::Contender>& contenders) {
  std::vector<size_t> order(contenders.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::stable_sort(order, {}, [&](size_t i) { return contenders[i].ms; });
  return order;
}

void print_table(const Measured& measured, const benchmark::ChoiceOptions& choice) {
  const std::vector<bool> front = benchmark::pareto_front(measured.contenders);
  size_t width = 8;
  for (const benchmark::Contender& one : measured.contenders) width = std::max(width, one.name.size());
  fmt::print("\n{}, batch 1, float32, the network alone (* = no other is faster and better)\n\n",
             measured.setting.text());
  fmt::print("  {:<{}} {:>11} {:>9} {:>10} {:>9} {:>8} {:>9}\n", "network", width, "parameters", "GMAC",
             "median ms", "p95 ms", "images/s", "mAP50-95");
  for (const size_t i : by_latency(measured.contenders)) {
    const benchmark::Contender& one = measured.contenders[i];
    fmt::print("{} {:<{}} {:>11.0f} {:>9.3f} {:>10.2f} {:>9.2f} {:>8.1f} {:>9}\n", front[i] ? '*' : ' ',
               one.name, width, one.parameters, one.macs / 1e9, one.ms, measured.latencies[i].p95_ms,
               1000 / one.ms, one.map50_95 ? fmt::format("{:.3f}", *one.map50_95) : "-");
  }
  if (std::ranges::any_of(measured.contenders, [](const auto& one) { return one.map50_95.has_value(); }))
    fmt::print("\n{}\n", kMapOfCommands);
  fmt::print("\n{}", benchmark::recommendation(measured.contenders, choice));
}

json table_json(const Measured& measured) {
  const std::vector<bool> front = benchmark::pareto_front(measured.contenders);
  json rows = json::array();
  for (const size_t i : by_latency(measured.contenders)) {
    const benchmark::Contender& one = measured.contenders[i];
    json row = {{"network", one.name},
                {"parameters", one.parameters},
                {"macs", one.macs},
                {"median_ms", one.ms},
                {"p95_ms", measured.latencies[i].p95_ms},
                {"pareto", static_cast<bool>(front[i])}};
    row["map50_95"] = one.map50_95 ? json(*one.map50_95) : json();
    rows.push_back(std::move(row));
  }
  return {{"imgsz", measured.setting.size},
          {"threads", measured.setting.threads},
          {"rules", rules_name(kDefaultRules)},
          {"networks", rows}};
}

void draw(evaluate::DrawingAttempts& attempts, const std::filesystem::path& folder, const Measured& measured,
          double budget_ms) {
  const std::vector<bool> front = benchmark::pareto_front(measured.contenders);
  const bool by_map = measured.contenders[0].map50_95.has_value() &&
                      std::ranges::all_of(measured.contenders, [](const benchmark::Contender& one) {
                        return one.map50_95.has_value();
                      });
  std::vector<evaluate::TradeoffPoint> points;
  for (size_t i = 0; i < measured.contenders.size(); ++i) {
    const benchmark::Contender& one = measured.contenders[i];
    points.push_back({one.name, one.ms, by_map ? *one.map50_95 : one.parameters / 1e6, front[i]});
  }
  const evaluate::TradeoffText text{
      fmt::format("{}, {}", measured.setting.text(), benchmark::this_machine().cpu),
      by_map ? "mAP50-95" : "Million parameters", budget_ms};
  for (const auto& [format, suffix] :
       {std::pair(evaluate::PlotFormat::kPng, ".png"), std::pair(evaluate::PlotFormat::kSvg, ".svg")})
    attempts.plot(folder / (measured.setting.file_name() + suffix),
                  [&, format = format] { return evaluate::tradeoff_plot(points, text, format); });
}

int compare(const Options& o) {
  std::vector<Entrant> entrants = open_entrants(o);
  const std::optional<data::Dataset> dataset = measured_dataset(o, entrants);
  const std::vector<Setting> settings = settings_of(o, entrants);
  const std::filesystem::path folder = o.folder.make();
  const benchmark::Machine machine = benchmark::this_machine();
  if (!o.as_json)
    fmt::print("{}; {}, {}; {} in turns, about {:.0f} s\n", machine.cpu, cpu::simd_name(machine.simd),
               counted(machine.cores, "core"), counted(static_cast<int64_t>(entrants.size()), "network"),
               o.seconds * static_cast<double>(entrants.size() * settings.size()));
  evaluate::DrawingAttempts attempts([](std::string_view line) { talk(fmt::format("marrow: {}", line)); });
  json tables = json::array();
  std::vector<std::optional<double>> maps;
  int measured_size = 0;
  for (const Setting& setting : settings) {
    if (setting.size != measured_size) maps = measure_maps(o, dataset, entrants, setting.size);
    measured_size = setting.size;
    const Measured measured = measure(o, entrants, setting, maps);
    if (!o.as_json) print_table(measured, o.choice);
    tables.push_back(table_json(measured));
    draw(attempts, folder, measured, o.choice.budget_ms);
  }
  const json object = {{"cpu", machine.cpu},
                       {"simd", cpu::simd_name(machine.simd)},
                       {"cores", machine.cores},
                       {"tables", tables}};
  const std::string text = object.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
  write_file_atomically(folder / "compare.json", text);
  if (o.as_json) fmt::print("{}", text);
  fmt::print(o.as_json ? stderr : stdout, "\nResults saved to {}\n", folder.string());
  return 0;
}

}  // namespace

void declare_compare(Command& command) {
  auto options = std::make_shared<Options>();
  command.summary("Time backbones and checkpoints in turns, and say which to take");
  command
      .argument("CHECKPOINTS", &options->checkpoints,
                "Detectors to compare, with their mAP where --data is given")
      .without("none");
  command
      .option("--model", &options->model,
              "The detector that the backbones are put into: a YAML, or a name of 'marrow models'")
      .type("MODEL");
  command.option("--backbones", &options->backbones, "Names separated by commas, or all")
      .type("NAME,...")
      .without("one of each family; none beside checkpoints");
  command.option("--imgsz", &options->imgsz, "Input sizes in pixels, separated by commas")
      .type("PIXELS,...")
      .range(32, 16384)
      .without(fmt::format("the one a file is fixed at, or the first checkpoint was trained at, or {}",
                           train::kDetectionSize));
  command
      .option("--threads", &options->threads,
              "Numbers of threads, separated by commas; 0 = every core this process may use")
      .type("N,...")
      .range(0, 1024);
  add_autotune(command, options->autotune);
  add_training_option(command, "data", &options->data).without("none: mAP is not measured");
  add_training_option(command, "split", &options->split);
  add_seconds(command, options->seconds);
  command.option("--within", &options->choice.within, "How much mAP50-95 may be given up for speed")
      .range(0, 1);
  command.option("--budget-ms", &options->choice.budget_ms, "Also name the best under so many ms")
      .type("MS")
      .range(0, 1e9)
      .without("none");
  add_run_folder(command, options->folder);
  add_json(command, options->as_json);
  command.example(
      "marrow compare --backbones starnet_s1,pp_lcnet_x1_0 --imgsz 320,640 --threads 1,2 --budget-ms 30");
  command.action([options] { return compare(*options); });
}

}  // namespace marrow::cli
