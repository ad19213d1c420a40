#include "training/train_flags.h"

#include <algorithm>

#include "marrow/base/error.h"

namespace marrow::cli {
namespace {

const char* suits_text(train::TrainOption::Suits suits) {
  switch (suits) {
    case train::TrainOption::Suits::kDetectors:
      return " (detectors)";
    case train::TrainOption::Suits::kClassifiers:
      return " (classifiers)";
    case train::TrainOption::Suits::kEveryTask:
      break;
  }
  return "";
}

}  // namespace

std::string flag_of(const std::string& key) {
  std::string flag = "--" + key;
  std::ranges::replace(flag, '_', '-');
  return flag;
}

Option& declare_train_option(Command& command, const train::TrainOption& row, const TakeText& take) {
  const auto checked = [&row, take](const std::string& text) {
    try {
      train::TrainOptions ignored;
      row.set(ignored, text);
    } catch (const Error& error) {
      throw Error(ErrorKind::kUsage, std::string("--") + error.what());
    }
    take(text);
  };
  const std::string help = row.help + suits_text(row.suits);
  Option& option = row.flag ? command.flag(flag_of(row.key), checked, help)
                            : command.option(flag_of(row.key), checked, help);
  if (row.flag && !row.type.empty())
    option.or_value(row.type).check([&row](const std::string& text) -> std::string {
      try {
        train::TrainOptions ignored;
        row.set(ignored, text);
      } catch (const Error& error) {
        return error.what();
      }
      return {};
    });
  option.value = row.type;
  option.limits = row.limits;
  option.known = row.known;
  const std::string text = row.text(train::TrainOptions{});
  option.default_text = !row.flag ? text : text == "true" ? "on" : text == "false" ? "off" : text;
  return option.without(row.absence);
}

void TrainFlags::apply(train::TrainOptions& options) const {
  for (const Given& each : given_) each.option->set(options, each.text);
}

train::TrainOptions TrainFlags::options(const std::function<void(const std::string&)>& say) const {
  train::TrainOptions options;
  if (!cfg.empty())
    for (const std::string& notice : train::read_train_options(cfg, options))
      if (say) say(notice);
  apply(options);
  return options;
}

std::vector<const train::TrainOption*> TrainFlags::given() const {
  std::vector<const train::TrainOption*> rows;
  for (const Given& each : given_) rows.push_back(each.option);
  return rows;
}

std::vector<std::string> TrainFlags::words() const {
  std::vector<std::string> words;
  if (!cfg.empty()) words.push_back("--cfg=" + cfg);
  if (resume) words.push_back("--resume=" + *resume);
  for (const Given& each : given_) words.push_back(flag_of(each.option->key) + "=" + each.text);
  return words;
}

void declare_train_flags(Command& command, TrainFlags& flags) {
  command.summary("Train a detector (yolov8n, any other model YAML, with any backbone) or a classifier");
  command
      .option("--cfg", &flags.cfg, "YAML of 'key: value' lines, such as the args.yaml of a run; options win")
      .type("FILE")
      .without("none");
  command
      .option("--resume", &flags.resume,
              "Go on with an interrupted run: its folder or checkpoint, or the latest run")
      .type("RUN")
      .without("a new run");
  for (const train::TrainOption& row : train::train_option_table()) {
    command.group(row.group);
    Option& option = declare_train_option(command, row, [&flags, &row](const std::string& text) {
      flags.given_.push_back({&row, text});
    });
    if (row.key == "model") option.or_place("MODEL");
  }
  command.note("A setting's key in --cfg is its option with underscores: warmup_epochs.");
  command.example(
      "marrow train --model yolov8n --backbone starnet_s1 --data data.yaml --epochs 100 --imgsz 640");
  command.example("marrow train --model starnet_s1 --data FOLDER_OF_CLASSES --epochs 100");
  command.example("marrow train --resume runs/detect/train");
}

}  // namespace marrow::cli
