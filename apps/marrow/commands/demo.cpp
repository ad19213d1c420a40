// marrow demo: from nothing to a trained detector, by the commands that a user would give.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "commands/commands.h"
#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/run_folder.h"
#include "marrow/base/stopwatch.h"
#include "marrow/data/tools/synth.h"
#include "marrow/detect/sheet.h"
#include "marrow/engine/engine.h"
#include "marrow/geometry/letterbox.h"
#include "marrow/graph/passes/deploy.h"
#include "marrow/graph/reference/executor.h"
#include "marrow/image/decode.h"
#include "marrow/image/encode.h"
#include "marrow/image/network_input.h"
#include "marrow/model/import.h"
#include "marrow/model/summary.h"
#include "support/child.h"
#include "support/common_options.h"

namespace marrow::cli {
namespace {

namespace fs = std::filesystem;

// Some five minutes of CPU time. Three seeds, two of them with crosses for stars, ended at a mAP50 of 0.96 to
// 0.97.
constexpr const char* kBackbone = "shufflenet_v2_x0_5";
constexpr int kImageSize = 256;    // pixels, as drawn
constexpr int kNetworkSize = 128;  // pixels, as trained and detected
constexpr int kObjects = 6;        // at most, an image
constexpr int kHeldOutShown = 8;
const std::vector<std::string> kClasses = {"disc", "triangle", "ring", "star"};

struct Options {
  int images = 600;
  int epochs = 16;
  uint64_t seed = 0;
  int threads = 0;
};

// How the user started this program: `./run` says.
std::string program_name() {
  const char* name = std::getenv("MARROW_COMMAND");
  return name != nullptr && *name != '\0' ? name : "marrow";
}

std::string minutes_text(double seconds) {
  const int whole = static_cast<int>(seconds);
  return whole < 60 ? fmt::format("{} s", whole) : fmt::format("{} min {:02} s", whole / 60, whole % 60);
}

class Demo {
 public:
  Demo(const Options& options, fs::path folder) : options_(options), folder_(std::move(folder)) {}

  int run() {
    draw_dataset();
    if (const int code = train(); code != 0) return code;
    validate();
    collapse();
    detect();
    say_where();
    return 0;
  }

 private:
  fs::path data_yaml() const { return folder_ / "shapes" / "data.yaml"; }
  fs::path run_folder() const { return folder_ / "train"; }
  fs::path best() const { return run_folder() / "weights" / "best.safetensors"; }

  void begin_step(const std::string& title) const {
    fmt::print("\n{} {}\n", title, std::string(std::max<size_t>(78, title.size()) - title.size(), '-'));
  }

  static void show(const std::vector<std::string>& arguments) {
    fmt::print("$ {}", program_name());
    for (const std::string& word : arguments) fmt::print(" {}", word);
    fmt::print("\n");
  }

  // Runs a command that must not fail; what it said on stderr is shown when it does.
  void must_run(std::vector<std::string> arguments, const std::string& out = "") const {
    show(arguments);
    arguments.insert(arguments.end(), {"--threads", std::to_string(options_.threads)});
    const fs::path log = folder_ / "log.txt";
    Child child(arguments, {out.empty() ? fs::path() : folder_ / out, log});
    const int code = child.wait();
    if (code == 0) return;
    constexpr int kInterrupted = 128 + SIGINT;
    if (code == kInterrupted) std::raise(SIGINT);  // Ctrl-C was meant for this program
    throw Error(ErrorKind::kFile, fmt::format("'{} {}' failed:\n{}", program_name(), arguments.front(),
                                              read_file(log, 1 << 20)));
  }

  void draw_dataset() const {
    begin_step("1. Draw a dataset");
    must_run({"data", "synth", (folder_ / "shapes").string(), "--images", std::to_string(options_.images),
              "--val-share", "0.17", "--imgsz", std::to_string(kImageSize), "--objects",
              std::to_string(kObjects), "--classes", fmt::format("{}", fmt::join(kClasses, ",")), "--seed",
              std::to_string(options_.seed)});
  }

  // A line an epoch, read from the run's results.csv as it grows.
  void show_epochs(size_t& shown) const {
    constexpr double kBarWidth = 40;
    std::ifstream file(run_folder() / "results.csv");
    std::string line;
    std::getline(file, line);
    for (size_t i = 0; std::getline(file, line); ++i) {
      if (i < shown) continue;
      std::istringstream fields(line);
      std::vector<double> values;
      for (std::string field; std::getline(fields, field, ',');) values.push_back(std::atof(field.c_str()));
      // epoch, time, box, cls and dfl loss, precision, recall, mAP50
      if (values.size() < 8) return;
      const double map50 = values[7];
      fmt::print("{}{:>6}/{:<4}{:>8.0f} s{:>9.3f}{:>9.3f}  |{:<40}|\n", is_terminal_ ? "\r\033[K" : "",
                 values[0], options_.epochs, values[1], values[2] + values[3] + values[4], map50,
                 std::string(static_cast<size_t>(std::clamp(map50, 0.0, 1.0) * kBarWidth), '#'));
      ++shown;
    }
  }

  int train() const {
    begin_step("2. Train YOLOv8n on the backbone ShuffleNet V2 x0.5, from random weights");
    // Boxes are many pixels wide here, so the short run leaves out what makes objects small.
    std::vector<std::string> arguments = {"train",
                                          "--model",
                                          "yolov8n",
                                          "--backbone",
                                          kBackbone,
                                          "--data",
                                          data_yaml().string(),
                                          "--imgsz",
                                          std::to_string(kNetworkSize),
                                          "--epochs",
                                          std::to_string(options_.epochs),
                                          "--batch",
                                          "8",
                                          "--nbs",
                                          "8",
                                          "--optimizer",
                                          "AdamW",
                                          "--lr0",
                                          "0.003",
                                          "--momentum",
                                          "0.9",
                                          "--warmup-epochs",
                                          "1",
                                          "--warmup-bias-lr",
                                          "0",
                                          "--mosaic",
                                          "0",
                                          "--scale",
                                          "0.2",
                                          "--flipud",
                                          "0.5",
                                          "--seed",
                                          std::to_string(options_.seed),
                                          "--project",
                                          folder_.string(),
                                          "--name",
                                          "train"};
    show(arguments);
    fmt::print("{:>11}{:>10}{:>9}{:>9}   on the held-out images\n", "epoch", "time", "losses", "mAP50");
    arguments.insert(arguments.end(), {"--threads", std::to_string(options_.threads)});
    const fs::path log = folder_ / "train.log";
    const Stopwatch training;
    size_t shown = 0;
    Child child(arguments, {folder_ / "train.txt", log});
    std::optional<int> code;
    while (!(code = child.poll())) {
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
      show_epochs(shown);
      if (is_terminal_)
        fmt::print("\r\033[Kepoch {} is being trained, {} so far", shown + 1,
                   minutes_text(training.seconds()));
      std::fflush(stdout);
    }
    if (is_terminal_) fmt::print("\r\033[K");
    if (*code == 0) return 0;
    if (*code > 128 && fs::exists(run_folder() / "weights" / "last.safetensors"))
      fmt::print(stderr, "marrow: stopped; '{} train --resume {}' goes on\n", program_name(),
                 run_folder().string());
    else
      fmt::print(stderr, "{}marrow: training ended with exit code {}\n", read_file(log, 1 << 20), *code);
    return *code;
  }

  void validate() const {
    begin_step("3. Measure it on the held-out images, with the CPU engine");
    must_run({"val", "--model", best().string(), "--data", data_yaml().string(), "--imgsz",
              std::to_string(kNetworkSize), "--project", folder_.string(), "--name", "val", "--json"},
             "val.json");
    const auto report = nlohmann::json::parse(read_file(folder_ / "val.json", 1 << 24));
    fmt::print(
        "mAP50 {:.3f}, mAP50-95 {:.3f} by Ultralytics' definition ({}); AP50 {:.3f}, AP {:.3f} by COCO's\n",
        report.at("map50").get<double>(), report.at("map50_95").get<double>(),
        report.at("rules").get<std::string>(), report.at("coco").at(1).get<double>(),
        report.at("coco").at(0).get<double>());
    fmt::print("{:.1f} ms an image of {} pixels in the network\n",
               report.at("speed_ms").at("inference").get<double>(), kNetworkSize);
  }

  // What the engine does to every model that it loads, shown on this one.
  void collapse() const {
    begin_step("4. Collapse what only training needed");
    const model::TrainedModel trained = model::load_trained(best());
    const passes::GraphWithWeights before = {trained.model.graph, trained.weights};
    const passes::GraphWithWeights after = passes::deploy(before, {.threads = options_.threads});
    fmt::print("{} operations and {} parameters became {} operations and {} parameters\n",
               before.graph.nodes.size(), model::count_parameters(before.graph), after.graph.nodes.size(),
               model::count_parameters(after.graph));

    const image::Image picture = data::draw_synth_image(synth_options(), 0).image;
    const image::Image boxed = image::letterbox(
        picture, letterbox_geometry({picture.width(), picture.height()}, {kNetworkSize, kNetworkSize}));
    Tensor input({1, boxed.channels(), kNetworkSize, kNetworkSize});
    image::fill_network_input(boxed.pixels(), input_format(before.graph), input.values().data());
    std::vector<std::string> names;
    std::vector<Value> values;
    for (const NamedValue& tap : before.graph.taps)
      if (tap.name.starts_with("feat")) {
        names.push_back(tap.name);
        values.push_back(tap.value);
      }
    const std::vector<Tensor> expected =
        reference::run_reference(before.graph, before.weights, input, values);
    engine::Engine engine(after.graph, after.weights, input.shape(), names, {.threads = options_.threads});
    engine.run(input);
    double largest = 0;
    for (size_t i = 0; i < names.size(); ++i)
      largest = std::max(largest, relative_difference(engine.output(i), expected[i]));
    fmt::print(
        "the outputs in the engine differ from those of the whole network, computed by plain loops, by "
        "{:.1e} of the largest\n",
        largest);
  }

  // Images of another seed than the dataset's.
  data::SynthOptions synth_options() const {
    data::SynthOptions options;
    options.image_size = kImageSize;
    options.objects = kObjects;
    options.classes = kClasses;
    options.seed = options_.seed + 1;
    return options;
  }

  void detect() const {
    begin_step("5. Detect, in held-out images and in one drawn just now");
    const fs::path pictures = folder_ / "images";
    fs::create_directories(pictures);
    std::vector<fs::path> held_out;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder_ / "shapes" / "images" / "val"))
      held_out.push_back(entry.path());
    std::ranges::sort(held_out);
    held_out.resize(std::min<size_t>(held_out.size(), kHeldOutShown));
    for (const fs::path& path : held_out)
      fs::copy_file(path, pictures / ("held_out_" + path.filename().string()));
    image::write_image(pictures / "just_drawn.jpg",
                       data::draw_synth_image(synth_options(), 1).image.pixels());
    must_run({"predict", "--model", best().string(), "--source", pictures.string(), "--imgsz",
              std::to_string(kNetworkSize), "--project", folder_.string(), "--name", "predict"});

    std::vector<fs::path> drawn;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder_ / "predict"))
      if (entry.is_regular_file()) drawn.push_back(entry.path());
    std::ranges::sort(drawn);
    std::vector<image::Image> images;
    for (const fs::path& path : drawn) {
      const image::Image image = image::decode_image_file(path).image;
      images.push_back(image::letterbox(
          image, letterbox_geometry({image.width(), image.height()}, {kImageSize, kImageSize})));
    }
    image::write_image(sheet(), detect::image_sheet(images).pixels());
  }

  fs::path sheet() const { return folder_ / "detections.png"; }

  void say_where() const {
    const auto line = [](const fs::path& path, const char* what) {
      std::error_code ignored;
      if (fs::exists(path, ignored)) fmt::print("  {:<44} {}\n", path.string(), what);
    };
    fmt::print("\nAll of this took {} and is in {}:\n", minutes_text(clock_.seconds()), folder_.string());
    line(sheet(), "what it sees: held-out images, the last one just drawn");
    line(run_folder() / "results.png", "losses and accuracy over the epochs");
    line(folder_ / "val", "confusion matrix and curves on the held-out images");
    line(run_folder(), "the run folder: args.yaml, results.csv, weights");
    line(best(), "the detector");
    line(data_yaml(), "the dataset");
    const std::string program = program_name();
    fmt::print(
        "\nNext, with your own images (YOLO, COCO and VOC datasets are read as they are; docs/data.md):\n"
        "  {0} data check your/data.yaml\n"
        "  {0} train --data your/data.yaml --model yolov8n --backbone {1} --epochs 100\n"
        "  {0} val --data your/data.yaml --model runs/detect/train/weights/best.safetensors\n"
        "  {0} predict --source your/images --model runs/detect/train/weights/best.safetensors\n",
        program, kBackbone);
  }

  const Options options_;
  const fs::path folder_;
  const Stopwatch clock_;
  const bool is_terminal_ = isatty(STDOUT_FILENO) != 0;
};

int demo(const Options& options) {
  return Demo(options, make_run_folder("runs", "demo", false)).run();
}

}  // namespace

void declare_demo(Command& command) {
  auto options = std::make_shared<Options>();
  command.summary("Draw a dataset, train a small detector on it, measure it, and detect: a few minutes");
  command.option("--images", &options->images, "Images to draw, a sixth of them held out").range(12, 100000);
  command.option("--epochs", &options->epochs, "Passes over the training images").range(1, 1000);
  add_seed(command, options->seed);
  add_threads(command, options->threads);
  command.example("marrow demo");
  command.action([options] { return demo(*options); });
}

}  // namespace marrow::cli
