#include "reliability/commands.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "marrow/base/crc32.h"
#include "marrow/base/error.h"
#include "marrow/base/yaml.h"
#include "marrow/data/tools/synth.h"
#include "marrow/model/checkpoint.h"
#include "marrow/model/spec.h"
#include "marrow/train/recipe/train_options.h"
#include "marrow/weights/safetensors.h"
#include "marrow/weights/torch/torch_writer.h"
#include "train/tiny_run.h"

namespace marrow::testing {
namespace {

void write_data(const fs::path& folder) {
  data::SynthOptions synth;
  synth.images = 6;
  synth.val_share = 0.34;
  synth.image_size = 64;
  synth.objects = 2;
  synth.classes = {"disc", "square"};
  data::write_synth_dataset(folder, synth);
}

// One or two batches an epoch.
void write_run_settings(const fs::path& folder) {
  train::TrainOptions o;
  o.model = (folder / "tiny.yaml").string();
  o.data = (folder / "data/data.yaml").string();
  o.project = (folder / "runs").string();
  o.name = "run";
  o.exist_ok = true;
  o.epochs = 2;
  o.batch = 4;
  o.imgsz = 64;
  o.workers = 1;
  o.optimizer = "SGD";
  o.warmup_epochs = 0;
  o.threads = 2;
  o.plots = false;
  write_file_atomically(folder / "run.yaml", to_yaml(o));
}

std::string fault_of_table(const std::string& text) {
  if (!text.ends_with('\n')) return "its last line is cut";
  const auto lines = lines_of(text);
  const auto columns = [](const std::string& line) { return std::ranges::count(line, ','); };
  for (const std::string& line : lines)
    if (columns(line) != columns(lines[0])) return "a line is cut: " + line;
  return {};
}

std::string fault_of_choices(const std::string& text) {
  if (!text.ends_with('\n')) return "its last line is cut";
  for (const std::string& line : lines_of(text))
    if (std::ranges::count(line, '\t') != 2) return "a line is cut: " + line;
  return {};
}

std::string fault_of_cache(const std::string& text) {
  uint32_t sum = 0;
  if (text.size() < sizeof sum) return "it is cut";
  const size_t length = text.size() - sizeof sum;
  std::memcpy(&sum, text.data() + length, sizeof sum);
  return sum == crc32(std::as_bytes(std::span(text)).first(length)) ? "" : "its checksum is wrong";
}

}  // namespace

void prepare_commands(const fs::path& folder) {
  write_data(folder / "data");
  write_file_atomically(folder / "tiny.yaml", kTinyModel);
  write_run_settings(folder);
  const model::Model model = model::build_model(model::parse_model_spec(kTinyModel, "tiny.yaml"));
  const Weights weights = randomize(model.graph, 3);
  model::save_checkpoint(folder / "tiny.safetensors", model, weights);
  weights::write_torch_state_dict(folder / "state.pt", weights);
  // What commands replace.
  for (const char* name :
       {"imported.safetensors", "deployed.safetensors", "int8.safetensors", "out.onnx", "out.pt"})
    fs::copy_file(folder / "tiny.safetensors", folder / name);
}

std::vector<TriedCommand> tried_commands(const fs::path& folder) {
  const auto resumed = [run = (folder / "runs/run"), settings = (folder / "run.yaml")] {
    return fs::exists(run / "args.yaml") ? std::vector<std::string>{"train", "--resume", run.string()}
                                         : std::vector<std::string>{"train", "--cfg", settings.string()};
  };
  const auto converted = [folder] {
    return fs::exists(folder / "copy/data.yaml")
               ? std::vector<std::string>{"data", "check", "copy/data.yaml"}
               : std::vector<std::string>{"data", "convert", "data/data.yaml", "copy", "--to", "voc"};
  };
  const auto sharded = [folder] {
    return fs::exists(folder / "shards/data.yaml")
               ? std::vector<std::string>{"data", "check", "shards/data.yaml"}
               : std::vector<std::string>{"data", "shard", "data/data.yaml", "shards", "--threads", "2"};
  };
  const std::vector<ResultFile> of_run = {{.path = "runs/run/args.yaml"},
                                          {.path = "runs/run/results.csv", .has_times = true},
                                          {.path = "data/labels/train.marrow-cache", .has_times = true},
                                          {.path = "runs/run/weights/best.safetensors", .has_stages = true},
                                          {.path = "runs/run/weights/last.safetensors", .has_stages = true}};
  std::vector<ResultFile> of_prediction, of_conversion = {{.path = "copy/data.yaml"}};
  for (const char* name : {"000000", "000001"})
    for (const auto& [before, after] : {std::pair("found/", ".jpg"), std::pair("found/labels/", ".txt")})
      of_prediction.push_back({.path = std::string(before) + name + after});
  return {
      {"import",
       {"import", "state.pt", "--model", "tiny.yaml", "-o", "imported.safetensors"},
       {{"imported.safetensors"}}},
      {"deploy",
       {"deploy", "tiny.safetensors", "--imgsz", "64", "--threads", "2", "--no-autotune", "-o",
        "deployed.safetensors"},
       {{"deployed.safetensors"}}},
      {"quantize",
       {"quantize", "tiny.safetensors", "--data", "data/data.yaml", "--imgsz", "64", "--threads", "2", "-o",
        "int8.safetensors"},
       {{"int8.safetensors"}}},
      {"export to ONNX",
       {"export", "tiny.safetensors", "--imgsz", "64", "--threads", "2", "-o", "out.onnx"},
       {{"out.onnx"}}},
      {"export to torch", {"export", "tiny.safetensors", "--format", "torch", "-o", "out.pt"}, {{"out.pt"}}},
      {"train", {"train", "--cfg", (folder / "run.yaml").string()}, of_run, resumed},
      {"data check",
       {"data", "check", "data/data.yaml", "--threads", "2", "--project", folder.string(), "--name",
        "checked", "--exist-ok"},
       {{.path = "checked/check.json", .has_stages = true}}},  // a report of what fails, too
      {"data convert",
       {"data", "convert", "data/data.yaml", "copy", "--to", "voc", "--threads", "2"},
       of_conversion,
       converted,
       true},
      {"data shard",
       {"data", "shard", "data/data.yaml", "shards", "--threads", "2"},
       {{"shards/data.yaml"}, {"shards/train-000000.tar"}, {"shards/val-000000.tar"}},
       sharded,
       true},
      {"val",
       {"val", "tiny.safetensors", "--data", "data/data.yaml", "--imgsz", "64", "--threads", "2",
        "--no-autotune", "--save-json", "--no-plots", "--project", folder.string(), "--name", "measured",
        "--exist-ok"},
       {{"measured/predictions.json"}, {.path = "data/labels/val.marrow-cache", .has_times = true}}},
      {"predict",
       {"predict", "tiny.safetensors", "--source", "data/images/val", "--imgsz", "64", "--conf", "0.01",
        "--threads", "2", "--no-autotune", "--save-txt", "--project", folder.string(), "--name", "found",
        "--exist-ok"},
       of_prediction},
      {"benchmark",
       {"benchmark", "tiny.safetensors", "--imgsz", "64", "--threads", "1", "--seconds", "0.01"},
       {{.path = "cache/marrow/tuning-3.txt", .has_stages = true, .has_times = true}}},
  };
}

const TriedCommand& tried_command(const std::vector<TriedCommand>& all, const std::string& name) {
  return *std::ranges::find(all, name, &TriedCommand::name);
}

std::string fault_of(const fs::path& file) {
  try {
    const std::string suffix = file.extension().string(), text = read_text(file);
    if (suffix == ".safetensors") weights::read_safetensors(file);
    if (suffix == ".json" && !nlohmann::json::accept(text)) return "no JSON";
    if (suffix == ".csv") return fault_of_table(text);
    if (file.filename().string().starts_with("tuning-")) return fault_of_choices(text);
    if (suffix == ".marrow-cache") return fault_of_cache(text);
    if (suffix == ".yaml" && !parse_yaml(text, file.string()).is_map()) return "no mapping";
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

}  // namespace marrow::testing
