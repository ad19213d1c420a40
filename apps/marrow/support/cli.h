// What the commands of `marrow` share. A command is one file with one function, listed in main.cpp.
//
// Results go to stdout, talk to stderr. Exit codes: 0, 1 (failed, or a part of the input failed), 2 (usage).
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "marrow/detect/nms.h"
#include "marrow/engine/engine.h"
#include "marrow/model/import.h"

namespace marrow::cli {

// Runs the command with the options as parsed; the result is the exit code.
using Action = std::function<int()>;

// Each declares its subcommand and says what it does when chosen.
Action add_val(CLI::App& app);
Action add_train(CLI::App& app);
Action add_predict(CLI::App& app);
Action add_data(CLI::App& app);
Action add_info(CLI::App& app);
Action add_models(CLI::App& app);
Action add_import(CLI::App& app);
Action add_export(CLI::App& app);
Action add_deploy(CLI::App& app);
Action add_quantize(CLI::App& app);
Action add_demo(CLI::App& app);
Action add_benchmark(CLI::App& app);
Action add_compare(CLI::App& app);
Action add_scale(CLI::App& app);

// Throws Error{kUnsupported}, saying what is missing, where `marrow train` has no program to start.
void require_training();

// A subcommand of `data`.
Action add_data_show(CLI::App& data);

// Accepts numbers from `smallest` to `largest`, shown in --help as "0..1"; refuses everything else, NaN too.
CLI::Validator in_range(double smallest, double largest);

// Adds --threads with its default (every core the process may use) and checks its range.
void add_threads_option(CLI::App& command, int& threads);

// Adds --threads, --precision and --no-autotune of the CPU engine, which the programs tune unless told
// otherwise.
void add_engine_options(CLI::App& command, engine::EngineOptions& options);
// Adds --no-autotune alone.
void add_autotune_flag(CLI::App& command, bool& autotune);

// Adds --no-deploy, which takes the network as it was trained.
void add_no_deploy_flag(CLI::App& command, bool& deploy);

// Adds --imgsz, the network's input size: one number (square) or height,width.
void add_image_size_option(CLI::App& command, std::vector<int>& size);

// The folder that a command leaves its results in.
struct RunFolderOptions {
  std::string project;  // empty: runs/TASK
  std::string name;
  bool exist_ok = false;

  std::filesystem::path make(const std::string& task = {}) const;
};

// Adds --project, --name and --exist-ok.
void add_run_folder_options(CLI::App& command, RunFolderOptions& options);

// Adds --conf, --iou, --max-det and --agnostic-nms.
void add_detection_options(CLI::App& command, detect::NmsOptions& options);

// Adds --as and --weights-source, which say what a foreign file does not.
void add_foreign_file_options(CLI::App& command, model::ImportOptions& options);

// Throws Error{kUsage} unless `output` ends in `suffix`, as `kind` of file does, and is another file than
// `input`.
void check_output_file(const std::filesystem::path& output, const std::string& suffix,
                       const std::string& kind, const std::filesystem::path& input);

// Whether MODEL is meant as a checkpoint: a file that is no YAML, or a path with a checkpoint's suffix
// whether it exists or not. Everything else is a YAML or a name.
bool is_checkpoint_path(const std::string& model);

// Names separated by blanks, wrapped and indented.
void print_names(const std::vector<std::string>& names);

// Every family with its paper, its sources and its variants.
void print_backbones();

// Ends --help with an example that works.
void set_example(CLI::App& command, const std::string& example);

}  // namespace marrow::cli
