// The program `marrow-train`, which `marrow train` starts: the part that needs LibTorch. Its flags are the
// rows of the table of training options.
//
// Exit codes: 0, 1 (failed), 2 (usage), 128 + the signal when one ended the run (with a checkpoint).
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <new>
#include <set>
#include <string>
#include <vector>

#include "marrow/base/error.h"
#include "marrow/base/talk.h"
#include "marrow/base/text.h"
#include "marrow/train/recipe/train_options.h"
#include "marrow/train/run_training.h"
#include "marrow/train/stop_request.h"

namespace {

using marrow::Error;
using marrow::ErrorKind;
namespace train = marrow::train;

constexpr int kFailed = 1;
constexpr int kUsage = 2;
constexpr int kSignal = 128;

std::string flag_of(const std::string& key) {
  std::string flag = "--" + key;
  std::ranges::replace(flag, '_', '-');
  return flag;
}

// --warmup_epochs is --warmup-epochs.
std::vector<std::string> with_dashes(int argc, char** argv) {
  std::vector<std::string> words;
  for (int i = argc - 1; i > 0; --i) {  // CLI11 takes them from the back
    std::string word = argv[i];
    if (word.starts_with("--"))
      std::replace(word.begin(),
                   word.begin() + static_cast<std::ptrdiff_t>(std::min(word.find('='), word.size())), '_',
                   '-');
    words.push_back(std::move(word));
  }
  return words;
}

// One option a row of the table.
class Flags {
 public:
  explicit Flags(CLI::App& app) : values_(marrow::train::train_option_table().size()) {
    const train::TrainOptions defaults;
    size_t i = 0;
    for (const train::TrainOption& row : marrow::train::train_option_table()) {
      CLI::Option* option = app.add_option(flag_of(row.key), values_[i], row.help);
      option->type_name(row.type)->group(row.group)->expected(row.flag ? 0 : 1, 1);
      // CLI11 takes default_str for the value of a switch that is given without one: there it is only shown.
      if (const std::string text = row.text(defaults); row.flag)
        option->type_name(row.type + "=" + text);
      else if (text != "null")
        option->default_str(text);
      CLI::Option* negation =
          row.flag ? app.add_flag("--no-" + flag_of(row.key).substr(2))->group("") : nullptr;
      rows_.push_back({&row, option, negation, &values_[i++]});
    }
  }

  // Over what `options` holds. Returns the keys that were given.
  std::set<std::string> apply(train::TrainOptions& options) const {
    std::set<std::string> given;
    for (const Row& row : rows_) {
      const bool negated = row.negation != nullptr && row.negation->count() > 0;
      if (row.option->count() == 0 && !negated) continue;
      given.insert(row.row->key);
      const std::string text = negated ? "false" : row.row->flag && row.value->empty() ? "true" : *row.value;
      try {
        row.row->set(options, text);
      } catch (const Error& error) {
        throw Error(ErrorKind::kUsage, std::string("--") + error.what());
      }
    }
    return given;
  }

 private:
  struct Row {
    const train::TrainOption* row;
    const CLI::Option* option;
    const CLI::Option* negation;
    const std::string* value;
  };
  std::vector<std::string> values_;
  std::vector<Row> rows_;
};

std::string explain(const CLI::App& app, const CLI::ParseError& error) {
  std::vector<std::string> known;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  for (const std::string& word : app.remaining())
    if (word.starts_with("-"))
      return marrow::unknown_name_message("option of 'marrow train'", word.substr(0, word.find('=')), known);
  return fmt::format("{}. 'marrow train --help' lists the options, with an example", error.what());
}

// What a resumed run may change without another result.
marrow::train::RunOutcome resume(const std::string& run, const Flags& flags,
                                 const train::TrainOptions& given) {
  static const std::set<std::string> kMayChange = {"device",  "workers",     "threads",  "cache", "plots",
                                                   "verbose", "save_period", "patience", "time",  "project"};
  train::TrainOptions ignored;
  const std::set<std::string> changed = flags.apply(ignored);
  for (const std::string& key : changed)
    if (!kMayChange.contains(key))
      throw Error(ErrorKind::kUsage,
                  fmt::format("{} cannot change in a resumed run, which goes on with its own settings. "
                              "Start a new run with --model FOLDER/weights/last.safetensors",
                              flag_of(key)));
  const auto folder = run.empty() ? marrow::train::latest_run(given.project) : std::filesystem::path(run);
  return marrow::train::resume_training(folder, [&](train::TrainOptions& options) {
    const std::string kept = options.project;
    flags.apply(options);
    options.project = kept;
  });
}

int run(int argc, char** argv) {
  CLI::App app{"Train a detector (yolov8n, any other model YAML, with any backbone) or a classifier.",
               "marrow train"};
  std::string cfg, resumed;
  app.add_option("--cfg", cfg, "YAML of 'key: value' lines, such as the args.yaml of a run; flags win")
      ->type_name("FILE");
  const CLI::Option* resuming =
      app.add_option("--resume", resumed,
                     "Go on with an interrupted run: its folder or checkpoint [default: the latest]")
          ->expected(0, 1)
          ->type_name("RUN");
  const Flags flags(app);
  app.footer(
      "\nA setting's key in --cfg is its flag with underscores: warmup_epochs.\n"
      "\nExamples:\n  marrow train --model yolov8n --backbone starnet_s1 --data data.yaml --epochs 100 "
      "--imgsz 640\n"
      "  marrow train --model starnet_s1 --data FOLDER_OF_CLASSES --epochs 100\n"
      "  marrow train --resume runs/detect/train");
  try {
    app.parse(with_dashes(argc, argv));
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    marrow::talk(fmt::format("marrow: {}", explain(app, error)));
    return kUsage;
  }
  train::TrainOptions options;
  if (!cfg.empty())
    for (const std::string& notice : marrow::train::read_train_options(cfg, options))
      marrow::talk(fmt::format("marrow: {}", notice));
  flags.apply(options);
  const marrow::train::RunOutcome outcome =
      resuming->count() > 0 ? resume(resumed, flags, options) : marrow::train::run_training(options);
  return outcome == marrow::train::RunOutcome::kFinished ? 0 : kSignal + marrow::train::StopRequest::signal();
}

}  // namespace

int main(int argc, char** argv) {
  // A limit on file sizes is an error of the write that meets it, not the end of the process.
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    const int code = run(argc, argv);
    if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
    marrow::talk("marrow: the output cannot be written");
  } catch (const Error& error) {
    marrow::talk(fmt::format("marrow: {}", error.what()));
    return error.kind() == ErrorKind::kUsage ? kUsage : kFailed;
  } catch (const std::bad_alloc&) {
    marrow::talk("marrow: out of memory");
  } catch (const std::exception& error) {
    marrow::talk(fmt::format("marrow: {}", error.what()));
  }
  return kFailed;
}
