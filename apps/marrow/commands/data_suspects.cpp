// marrow data suspects: labels that a trained model disagrees with.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "commands/commands.h"
#include "marrow/base/counted.h"
#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/text.h"
#include "marrow/data/class_match.h"
#include "marrow/data/dataset.h"
#include "marrow/data/dataset_split.h"
#include "marrow/data/image_bytes.h"
#include "marrow/data/tools/check_sheet.h"
#include "marrow/data/tools/suspects.h"
#include "marrow/detect/sheet.h"
#include "marrow/image/decode.h"
#include "marrow/image/encode.h"
#include "marrow/predict/detector.h"
#include "support/common_options.h"
#include "support/measure.h"
#include "support/open_data.h"
#include "support/open_model.h"
#include "support/progress_line.h"

namespace marrow::cli {
namespace {

namespace fs = std::filesystem;
using data::Suspect;

constexpr float kSeen = 0.05f;  // confidence from which on a model has seen something
constexpr size_t kDrawn = 25;
constexpr int kTile = 480;  // pixels

struct Options {
  std::string model, data, split = "train";
  std::vector<std::string> names;
  std::vector<int> imgsz;
  TileFlags tiles;
  float sure = 0.5f;
  int top = 100;
  bool json = false;
  RunFolderOptions folder{.project = "runs/data", .name = "suspects"};
  model::ImportOptions import;
  engine::EngineOptions engine;
};

struct Found {
  data::ImageFile image;
  Suspect suspect;
};

std::string class_text(const std::vector<std::string>& names, int class_id) {
  return printable(names.at(static_cast<size_t>(class_id)), 60);
}

// "missing person".
std::string short_text(const Suspect& suspect, const std::vector<std::string>& names) {
  switch (suspect.kind) {
    case Suspect::Kind::kMissing:
      return "missing " + class_text(names, suspect.found);
    case Suspect::Kind::kClass:
      return class_text(names, suspect.labelled) + " or " + class_text(names, suspect.found);
    case Suspect::Kind::kLoose:
      return "loose " + class_text(names, suspect.labelled);
    case Suspect::Kind::kUnseen:
      break;
  }
  return "unseen " + class_text(names, suspect.labelled);
}

std::string line_of(const Found& found, const std::vector<std::string>& names) {
  const auto& [x1, y1, x2, y2] = found.suspect.box;
  return fmt::format("{:.2f}  {:<8}{}: {} at {:.0f} {:.0f} to {:.0f} {:.0f}\n", found.suspect.score,
                     data::suspect_kind_name(found.suspect.kind), data::shown(found.image.path),
                     short_text(found.suspect, names), x1, y1, x2, y2);
}

std::string json_of(const std::vector<Found>& all, const std::vector<std::string>& names) {
  using nlohmann::ordered_json;
  ordered_json list = ordered_json::array();
  for (const Found& found : all) {
    const Suspect& suspect = found.suspect;
    const auto name = [&](int class_id) {
      return class_id < 0 ? ordered_json() : ordered_json(names.at(static_cast<size_t>(class_id)));
    };
    list.push_back({{"image", found.image.path.string()},
                    {"kind", data::suspect_kind_name(suspect.kind)},
                    {"score", suspect.score},
                    {"box", suspect.box.corners()},
                    {"labelled", name(suspect.labelled)},
                    {"found", name(suspect.found)}});
  }
  return list.dump(1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

image::Image draw(const std::vector<Found>& all, const std::vector<std::string>& names,
                  const ImageReading& reading) {
  std::vector<image::Image> tiles;
  for (size_t i = 0; i < std::min(all.size(), kDrawn); ++i) {
    const detect::Detection one = {
        .box = all[i].suspect.box, .confidence = static_cast<float>(all[i].suspect.score), .class_id = 0};
    const std::vector<std::string> text = {short_text(all[i].suspect, names)};
    tiles.push_back(data::draw_tile(all[i].image, {one}, text, kTile, reading));
  }
  return detect::image_sheet(tiles);
}

std::vector<Found> search(const Options& options, const data::Dataset& dataset,
                          const model::TrainedModel& trained) {
  const TileOptions tiles = chosen_tiles(options.tiles, options.model, trained.model);
  predict::DetectorOptions how{.size = tiled_input_size(options.model, trained.model, options.imgsz, tiles),
                               .rect = trained.model.fixed_height == 0,
                               .tiles = tiles,
                               .engine = options.engine};
  how.nms.confidence = std::min(kSeen, options.sure);
  // The model's classes, by the dataset's numbers.
  const data::ClassMatch match = data::match_classes(trained.model.names, dataset.names);
  if (const std::string note = match.note(options.model, options.data); !note.empty())
    fmt::print(stderr, "marrow: {}\n", note);
  std::vector<int> to_dataset(trained.model.names.size(), -1);
  for (size_t i = 0; i < dataset.names.size(); ++i)
    if (const int of_model = match.classes.empty() ? static_cast<int>(i) : match.classes[i];
        of_model >= 0 && of_model < static_cast<int>(to_dataset.size()))
      to_dataset[static_cast<size_t>(of_model)] = static_cast<int>(i);

  predict::Detector detector(trained.model.graph, trained.weights, how);
  const data::SplitLabels labels =
      data::load_split(dataset, options.split, {.threads = options.engine.threads});
  const ImageReading reading = image_reading(trained.model.graph);
  std::vector<Found> all;
  ProgressLine line;
  for (size_t i = 0; i < labels.images.size(); ++i) {
    const data::LabelledImage& image = labels.images[i];
    std::vector<detect::Detection> detections =
        detector.detect(data::decode_image(image, {.fit = {}, .reading = reading}).image).detections;
    std::erase_if(detections, [&](detect::Detection& detection) {
      detection.class_id = to_dataset.at(static_cast<size_t>(detection.class_id));
      return detection.class_id < 0;
    });
    for (const Suspect& suspect : data::find_suspects(detections, image, options.sure))
      all.push_back({image, suspect});
    line.show("images", static_cast<int64_t>(i) + 1, static_cast<int64_t>(labels.images.size()));
  }
  std::ranges::stable_sort(all, std::greater<>(), [](const Found& found) { return found.suspect.score; });
  return all;
}

int run(const Options& options) {
  model::TrainedModel trained = open_checkpoint(options.model, options.import);
  const data::Dataset dataset = open_dataset(options.data, options.names);
  check_task(options.model, trained.model, options.data, dataset);
  dataset.require_boxes();
  const std::vector<Found> all = search(options, dataset, trained);
  const std::vector<Found> top(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(std::min(
                                                              all.size(), static_cast<size_t>(options.top))));
  const auto folder = options.folder.make();
  std::string text;
  for (const Found& found : top) text += line_of(found, dataset.names);
  const std::string json = json_of(top, dataset.names);
  write_file_atomically(folder / "suspects.txt", text);
  write_file_atomically(folder / "suspects.json", json);
  if (!top.empty())
    image::write_image(folder / "suspects.jpg",
                       draw(top, dataset.names, image_reading(trained.model.graph)).pixels());
  fmt::print("{}", options.json ? json : text);
  fmt::print(options.json ? stderr : stdout, "{} in split '{}', the first {} in {}\n",
             counted(static_cast<int64_t>(all.size()), "suspect"), options.split, top.size(),
             folder.string());
  return 0;
}

}  // namespace

void declare_data_suspects(Command& command) {
  auto options = std::make_shared<Options>();
  command.summary("List labels that a trained detector disagrees with, the most suspicious first");
  add_checkpoint(command, options->model);
  add_training_option(command, "data", &options->data).required();
  command.option("--split", &options->split, "Split to look through").type("SPLIT");
  command.option("--sure", &options->sure, "Confidence from which on the model contradicts a label")
      .range(0.01, 1);
  command.option("--top", &options->top, "Suspects to list").range(1, 1'000'000);
  add_image_size(command, options->imgsz);
  add_tiles(command, options->tiles);
  add_class_names(command, options->names);
  add_json(command, options->json);
  add_run_folder(command, options->folder);
  add_foreign_file(command, options->import);
  add_engine(command, options->engine);
  add_deploy(command, options->engine.deploy);
  command.example("marrow data suspects best.safetensors --data data.yaml --split val --sure 0.7");
  command.action([options] { return run(*options); });
}

}  // namespace marrow::cli
