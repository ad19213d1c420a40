#include "commands/commands.h"

#include "commands/about.h"
#include "support/habits.h"

namespace marrow::cli {

void add_commands(Command& program, const std::vector<std::string>& words) {
  program.summary("YOLOv8 object detection with a backbone you can swap");
  program.version("marrow " MARROW_VERSION);
  program.note("'marrow COMMAND --help' lists a command's options with their defaults, and an example.");
  program.add("train", declare_train);
  program.add("val", declare_val);
  program.add("predict", [words](Command& command) { declare_predict(command, words); });
  program.add("track", [words](Command& command) { declare_track(command, words); });
  program.add("serve", declare_serve);
  program.add("data", declare_data);
  program.add("info", declare_info);
  program.add("models", declare_models);
  program.add("import", declare_import);
  program.add("deploy", declare_deploy);
  program.add("quantize", declare_quantize);
  program.add("export", declare_export);
  program.add("benchmark", declare_benchmark);
  program.add("compare", declare_compare);
  program.add("scale", declare_scale);
  program.add("demo", declare_demo);
  add_commands_about(program);
  add_habits(program);
}

}  // namespace marrow::cli
