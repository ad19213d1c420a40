// The commands of `marrow`, one file each.
#pragma once

#include <string>
#include <vector>

#include "command_line/command_line.h"

namespace marrow::cli {

// Each says what its command takes, and does when it is chosen.
void declare_train(Command& command);
void declare_val(Command& command);
// `words` are what the program was given, for the program that takes videos.
void declare_predict(Command& command, const std::vector<std::string>& words);
void declare_track(Command& command, const std::vector<std::string>& words);
void declare_data(Command& command);
void declare_data_show(Command& command);
void declare_data_convert(Command& command);
void declare_data_split(Command& command);
void declare_data_merge(Command& command);
void declare_data_shard(Command& command);
void declare_data_suspects(Command& command);
void declare_info(Command& command);
void declare_models(Command& command);
void declare_import(Command& command);
void declare_deploy(Command& command);
void declare_quantize(Command& command);
void declare_export(Command& command);
void declare_benchmark(Command& command);
void declare_compare(Command& command);
void declare_scale(Command& command);
void declare_serve(Command& command);
void declare_demo(Command& command);

// All of them, and those that tell of the program itself, which they read. `words` are what it was given.
void add_commands(Command& program, const std::vector<std::string>& words = {});

}  // namespace marrow::cli
