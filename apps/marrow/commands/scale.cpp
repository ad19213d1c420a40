// marrow scale: a larger network of the same family, by compound scaling.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <optional>

#include "commands/commands.h"
#include "marrow/base/counted.h"
#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/text.h"
#include "marrow/base/yaml.h"
#include "marrow/benchmark/comparison.h"
#include "marrow/benchmark/machine.h"
#include "marrow/graph/passes/deploy.h"
#include "marrow/model/scaling.h"
#include "marrow/model/summary.h"
#include "marrow/predict/input_size.h"
#include "support/common_options.h"
#include "support/open_model.h"
#include "support/progress_line.h"

namespace marrow::cli {
namespace {

constexpr int kSmallestSize = 32;
constexpr int kLargestSize = 16384;

struct Options {
  std::string backbone;
  std::optional<double> phi;
  std::string by = "macs";
  std::optional<double> alpha, beta, gamma;
  std::optional<double> depth, width;
  std::optional<int> imgsz;
  int base_imgsz = 0;
  std::string model = "yolov8n";
  bool classifier = false;
  std::vector<std::string> settings;  // "dropout=0.3"
  std::string output;
  // Whole repeats and widths in eights make the cost jump by about as much. With less, growth of one
  // dimension alone wins most often, and that is not what the paper found to be accurate (figure 3).
  double tie = 0.2;
  double seconds = 0.5;
  int threads = 0;

  bool direct() const { return depth || width || imgsz; }
  bool by_latency() const { return by == "latency"; }
};

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorKind::kUsage, message);
}

void check(const Options& o) {
  const int coefficients = int{o.alpha.has_value()} + int{o.beta.has_value()} + int{o.gamma.has_value()};
  if (coefficients != 0 && coefficients != 3)
    refuse(
        "--alpha, --beta and --gamma belong together: the growth of depth, width and resolution at phi = 1");
  if (o.direct() && (o.phi || coefficients > 0))
    refuse(
        "--depth, --width and --imgsz say the result; --phi, --alpha, --beta and --gamma have no say then");
  if (o.direct() && !o.depth && !o.width)
    refuse("--imgsz alone scales no network; give --depth or --width too, or --base-imgsz with --phi");
}

nn::BackboneConfig read_settings(const std::vector<std::string>& texts) {
  nn::BackboneConfig settings = nn::BackboneConfig::object();
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      refuse(fmt::format("--set '{}': wanted a setting and its value, such as dropout=0.3", printable(text)));
    settings[text.substr(0, equals)] = to_json(parse_yaml(text.substr(equals + 1), "--set"));
  }
  return settings;
}

model::Model build(const Options& o, const model::ScaledBackbone& scaled) {
  return model::build_model(model::scaled_spec(scaled, o.classifier ? "" : o.model));
}

struct Base {
  model::ScalingBase scaling;
  model::ScaledBackbone unscaled;
  model::Model model;
};

Base open_base(const Options& o) {
  Base base;
  model::ScalingBase& scaling = base.scaling;
  scaling.settings = read_settings(o.settings);
  scaling.backbone = nn::choose_backbone(o.backbone, scaling.settings);
  scaling.classifier = o.classifier;
  model::scaling_settings(
      *scaling.backbone.family);  // refuses what cannot be scaled before anything else is said
  base.unscaled = {scaling.backbone, scaling.settings, 0};
  base.model = build(o, base.unscaled);
  // The published sizes of classifiers are multiples of 4.
  scaling.size_multiple = o.classifier ? 4 : base.model.largest_stride;
  const nn::BackboneConfig& config = scaling.backbone.config;
  const int usual = o.classifier && config.contains("resolution") ? config.at("resolution").get<int>()
                                                                  : predict::default_input_side(base.model);
  scaling.image_size = model::scaled_image_size(scaling, o.base_imgsz > 0 ? o.base_imgsz : usual);
  base.unscaled.image_size = scaling.image_size;
  return base;
}

// The time does not depend on the weights.
benchmark::NetworkRun ready_to_run(const Graph& graph, int image_size, int threads) {
  return {passes::deploy({graph, randomize(graph, 0)}, {.threads = threads}),
          {.batch = 1, .height = image_size, .width = image_size, .engine = {.threads = threads}}};
}

double macs_of(const model::ScaledBackbone& scaled, bool classifier) {
  return static_cast<double>(
      model::count_macs(model::scaled_graph(scaled, classifier), scaled.image_size, scaled.image_size));
}

std::vector<model::MeasuredGrowth> count_costs(const Base& base, const std::vector<model::Growth>& growths) {
  const double once = macs_of(base.unscaled, base.scaling.classifier);
  std::vector<model::MeasuredGrowth> measured;
  for (const model::Growth& growth : growths)
    measured.push_back(
        {growth, macs_of(model::scale_backbone(base.scaling, growth), base.scaling.classifier) / once});
  return measured;
}

// A few at a time, each few in turns with the base, so that a machine that slows down slows both.
std::vector<model::MeasuredGrowth> time_costs(const Options& o, const Base& base,
                                              const std::vector<model::Growth>& growths) {
  constexpr size_t kAtATime = 5;
  ProgressLine line;
  std::vector<model::MeasuredGrowth> measured;
  for (size_t first = 0; first < growths.size(); first += kAtATime) {
    const size_t end = std::min(first + kAtATime, growths.size());
    std::vector<benchmark::NetworkRun> runs;
    const auto add = [&](const model::ScaledBackbone& scaled) {
      runs.push_back(ready_to_run(model::scaled_graph(scaled, o.classifier), scaled.image_size, o.threads));
    };
    add(base.unscaled);
    for (size_t i = first; i < end; ++i) add(model::scale_backbone(base.scaling, growths[i]));
    const std::vector<benchmark::ComparedNetwork> times =
        benchmark::time_in_turns(runs, {.input = {}, .seconds = o.seconds});
    for (size_t i = first; i < end; ++i)
      measured.push_back({growths[i], times[i - first + 1].latency.best_ms / times[0].latency.best_ms});
    line.show("timing candidates", static_cast<double>(end) / static_cast<double>(growths.size()));
  }
  return measured;
}

// What the search says about its choice, and the choice.
struct Search {
  model::Growth growth;  // at phi = 1
  std::string how;
};

Search search(const Options& o, const Base& base) {
  const std::vector<model::Growth> growths = model::growth_candidates();
  const std::string_view what = o.classifier ? "classifier" : "backbone";
  fmt::print(
      "{} triples with alpha * beta^2 * gamma^2 near 2; cost: how many times the base {}'s {} the "
      "grown one has at phi = 1\n\n",
      growths.size(), what, o.by_latency() ? "latency" : "multiply-adds");
  std::fflush(stdout);
  const std::vector<model::MeasuredGrowth> ranked =
      model::rank_growths(o.by_latency() ? time_costs(o, base, growths) : count_costs(base, growths), o.tie);
  constexpr size_t kShown = 8;
  fmt::print("  alpha   beta  gamma  product   cost\n");
  for (size_t i = 0; i < std::min(kShown, ranked.size()); ++i)
    fmt::print("{} {:>5.2f} {:>6.2f} {:>6.2f} {:>8.3f} {:>6.3f}\n", i == 0 ? '*' : ' ',
               ranked[i].growth.depth, ranked[i].growth.width, ranked[i].growth.resolution,
               ranked[i].growth.cost(), ranked[i].cost);
  fmt::print(
      "\nChosen by cost alone: of those at most {} further from 2 than the nearest, the one that grows most\n"
      "evenly. How accurate each would be is not known without training.\n\n",
      o.tie);
  return {ranked.front().growth, fmt::format("searched by {}", o.by_latency() ? "latency" : "multiply-adds")};
}

struct Result {
  model::ScaledBackbone scaled;
  std::string title;               // "efficientnet_b0 on yolov8n, phi 1"
  std::vector<std::string> facts;  // lines about it
};

Result scale_directly(const Options& o, const Base& base) {
  const model::ScalingBase& scaling = base.scaling;
  int size = o.imgsz.value_or(scaling.image_size);
  if (!o.classifier) size = model::scaled_image_size(scaling, size);
  return {model::scale_backbone(scaling, o.depth.value_or(1), o.width.value_or(1), size),
          "by the given factors",
          {}};
}

Result scale_by_phi(const Options& o, const Base& base) {
  const double phi = o.phi.value_or(1);
  Search found{{o.alpha.value_or(1), o.beta.value_or(1), o.gamma.value_or(1)}, "as given"};
  if (!o.alpha && phi > 0) found = search(o, base);
  Result result{
      model::scale_backbone(base.scaling, found.growth.power(phi)), fmt::format("phi {:g}", phi), {}};
  if (o.alpha || phi > 0)
    result.facts.push_back(fmt::format(
        "alpha {:g}, beta {:g}, gamma {:g} ({}); alpha * beta^2 * gamma^2 = {:.3f}", found.growth.depth,
        found.growth.width, found.growth.resolution, found.how, found.growth.cost()));
  return result;
}

// The published network that this is, if it is one.
std::string published_name(const nn::BackboneChoice& backbone) {
  for (const nn::BackboneVariant& variant : backbone.family->variants)
    if (nn::choose_backbone(variant.name).config == backbone.config) return variant.name;
  return {};
}

void add_facts(const Options& o, const Base& base, Result& result) {
  const nn::BackboneConfig& before = base.scaling.backbone.config;
  const model::ScaledBackbone& scaled = result.scaled;
  const model::ScalingSettings names = model::scaling_settings(*scaled.backbone.family);
  const auto change = [&](const std::string& setting) {
    return fmt::format("{} {:g} -> {:g}", setting, before.at(setting).get<double>(),
                       scaled.backbone.config.at(setting).get<double>());
  };
  result.title =
      fmt::format("{}{}, {}", scaled.backbone.name, o.classifier ? "" : " on " + o.model, result.title);
  result.facts.push_back(fmt::format("{}, {}, input {} -> {} pixels", change(names.depth),
                                     change(names.width), base.unscaled.image_size, scaled.image_size));
  if (const std::string name = published_name(scaled.backbone); !name.empty())
    result.facts.push_back(fmt::format("the settings are those of the published {}", name));
}

void print_row(const std::string& name, double before, double after, int decimals) {
  fmt::print("{:<22} {:>13.{}f} {:>13.{}f} {:>8.2f}\n", name, before, decimals, after, decimals,
             after / before);
}

void print_table(const Options& o, const Base& base, const Result& result, const model::Model& model) {
  const int size_before = base.unscaled.image_size;
  const int size = result.scaled.image_size;
  const model::Summary before = model::summarize(base.model, size_before, size_before);
  const model::Summary after = model::summarize(model, size, size);
  fmt::print("{:<22} {:>13} {:>13} {:>8}\n", "", "before", "after", "ratio");
  print_row("parameters", static_cast<double>(before.parameters), static_cast<double>(after.parameters), 0);
  print_row("multiply-adds, 10^9", static_cast<double>(before.macs) / 1e9,
            static_cast<double>(after.macs) / 1e9, 3);
  if (!o.classifier)
    print_row("  of the backbone", macs_of(base.unscaled, false) / 1e9, macs_of(result.scaled, false) / 1e9,
              3);
  print_row("input size, pixels", size_before, size, 0);
  if (!o.by_latency()) return;
  std::fflush(stdout);
  std::vector<benchmark::NetworkRun> runs;
  runs.push_back(ready_to_run(base.model.graph, size_before, o.threads));
  runs.push_back(ready_to_run(model.graph, size, o.threads));
  const std::vector<benchmark::ComparedNetwork> times =
      benchmark::time_in_turns(runs, {.input = {}, .seconds = o.seconds});
  print_row("latency, median ms", times[0].latency.median_ms, times[1].latency.median_ms, 2);
  const benchmark::Machine machine = benchmark::this_machine();
  fmt::print("latency: {}, {}, {}; deployed, batch 1, the network alone\n", machine.cpu,
             cpu::simd_name(machine.simd), counted(o.threads > 0 ? o.threads : machine.cores, "thread"));
}

std::string default_output(const Options& o) {
  return o.backbone + (o.direct() ? "-scaled" : fmt::format("-phi{:g}", o.phi.value_or(1))) + ".yaml";
}

// The letter in the name of a model file chooses its scale, and this file has only one.
void check_output(const std::string& output, const std::string& scale) {
  const std::string letter = model::split_scale(std::filesystem::path(output).stem().string()).scale;
  if (!letter.empty() && letter != scale)
    refuse(fmt::format("--output {}: by its name it would be scale '{}', but --model has scale '{}'",
                       printable(output), letter, scale));
}

int scale(const Options& o) {
  check(o);
  const Base base = open_base(o);
  const std::string output = o.output.empty() ? default_output(o) : o.output;
  check_output(output, base.model.scale);
  Result result = o.direct() ? scale_directly(o, base) : scale_by_phi(o, base);
  add_facts(o, base, result);
  const model::Model model = build(o, result.scaled);
  fmt::print("{}\n{}\n\n", result.title, join(result.facts, "\n"));
  print_table(o, base, result, model);

  std::string text = fmt::format("# {}; written by marrow scale.\n", result.title);
  for (const std::string& fact : result.facts) text += fmt::format("# {}\n", fact);
  text += fmt::format("# Train and run it with --imgsz {}.\n", result.scaled.image_size);
  text += model::to_yaml(model::scaled_spec(result.scaled, o.classifier ? "" : o.model));
  write_file_atomically(output, text);
  fmt::print("\nwritten: {}; train and run it with --imgsz {}\n", output, result.scaled.image_size);
  return 0;
}

void add_coefficient(Command& command, const char* name, std::optional<double>& value, const char* of) {
  constexpr double kLargest = 4;
  command.option(name, &value, fmt::format("Growth of {} at phi = 1, instead of the search", of))
      .range(1, kLargest)
      .without("searched");
}

}  // namespace

void declare_scale(Command& command) {
  constexpr double kLargestPhi = 10;
  auto options = std::make_shared<Options>();
  command.summary("Grow a backbone in depth, width and input size together, as EfficientNet was");
  command.option("--backbone", &options->backbone, "What grows: a name of 'marrow models'")
      .type("NAME")
      .required();
  command.option("--phi", &options->phi, "How far: the cost becomes about 2^phi times the base's")
      .range(0, kLargestPhi)
      .without("1");
  command
      .option("--by", &options->by,
              "What the search for alpha, beta and gamma measures: macs (multiply-adds) or latency")
      .choices({"macs", "latency"});
  command
      .option("--tie", &options->tie,
              "How much further than the nearest from twice the base's cost counts as equally near; the most "
              "even growth of those is taken")
      .range(0, 1);
  add_coefficient(command, "--alpha", options->alpha, "depth");
  add_coefficient(command, "--beta", options->beta, "width");
  add_coefficient(command, "--gamma", options->gamma, "the input size");
  command.option("--depth", &options->depth, "Factor on depth, instead of --phi")
      .range(0.01, 16)
      .without("by --phi");
  command.option("--width", &options->width, "Factor on width, instead of --phi")
      .range(0.01, 16)
      .without("by --phi");
  command.option("--imgsz", &options->imgsz, "Input size of the result, with --depth or --width")
      .type("PIXELS")
      .range(kSmallestSize, kLargestSize)
      .without("the base's");
  command.option("--base-imgsz", &options->base_imgsz, "Input size before scaling")
      .type("PIXELS")
      .range(kSmallestSize, kLargestSize)
      .without("640; a classifier's own, or 224");
  command
      .option("--model", &options->model,
              "The detector whose neck and head the backbone gets: a YAML, or a name of 'marrow models'")
      .type("MODEL");
  command.flag("--classifier", &options->classifier, "Write the classifier alone instead of a detector");
  command
      .option("--set", &options->settings,
              "Another setting of the backbone, such as dropout=0.3; may be repeated")
      .type("SETTING=VALUE")
      .once_each()
      .without("none");
  add_output(command, options->output, "FILE.yaml", "NAME-phiP.yaml");
  add_seconds(command, options->seconds);
  add_threads(command, options->threads);
  command.example("marrow scale --backbone efficientnet_b0 --phi 2 --alpha 1.2 --beta 1.1 --gamma 1.15");
  command.action([options] { return scale(*options); });
}

}  // namespace marrow::cli
