// The commands as one page of Markdown.
#include <fmt/format.h>

#include "command_line/help.h"

namespace marrow::cli {
namespace {

void add_command(const Command& command, std::string& text) {
  text += fmt::format("\n## {}\n\n{}.\n\n    {}\n\n", command.full_name(), command.summary(),
                      usage_text(command));
  std::string heading = "Options";
  const auto add = [&](const Option& option) {
    text += fmt::format("- `{}`: {}\n", head_text(option), body_text(option));
  };
  for (const Option& option : command.options())
    if (!option.argument.empty()) add(option);
  for (const Option& option : command.options()) {
    if (!option.argument.empty()) continue;
    if (option.heading != heading) text += fmt::format("\n{}:\n\n", heading = option.heading);
    add(option);
  }
  for (const std::string& note : command.notes()) text += fmt::format("\n{}\n", note);
  text += fmt::format("\nExample{}:\n\n", command.examples().size() == 1 ? "" : "s");
  for (const std::string& example : command.examples()) text += fmt::format("    {}\n", example);
}

}  // namespace

std::string reference_markdown(const Command& program) {
  std::string text = fmt::format(
      "# Commands\n\nWritten by `{0} help --markdown`, which a test compares with this page. `{0} COMMAND "
      "--help` prints the same.\n\nAn option `--[no-]NAME` is true or false: `--NAME`, `--NAME true` and "
      "`--NAME=true` are the same, and so are\n`--no-NAME`, `--NAME false` and `--NAME=false`; `yes`, `on` "
      "and `1` "
      "stand for true, `no`, `off` and `0` for false.\nUnderscores are as good as hyphens: `--max_det`. "
      "`NAME=VALUE` is `--NAME=VALUE`, where `None` leaves the default; "
      "an argument has a\nname too: `OUT` is `--out`. Exit codes: 0; 1 when something failed, or a part of "
      "the input; 2 when the words do not fit.\n\n",
      program.full_name());
  for (const Command* command : all_commands(program))
    if (command->action()) {
      std::string anchor = command->full_name();
      for (char& letter : anchor)
        if (letter == ' ') letter = '-';
      text += fmt::format("- [{}](#{}): {}\n", command->full_name(), anchor, command->summary());
    }
  for (const Command* command : all_commands(program))
    if (command->action()) add_command(*command, text);
  return text;
}

}  // namespace marrow::cli
