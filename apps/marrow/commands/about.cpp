// marrow help, completion and man: what the commands take, for readers, shells and man.
#include "commands/about.h"

#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "command_line/completion.h"
#include "command_line/help.h"
#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/run_folder.h"
#include "marrow/base/text.h"

namespace marrow::cli {
namespace {

const Command& find_command(const Command& program, const std::vector<std::string>& words) {
  const Command* command = &program;
  for (const std::string& word : words) {
    const Command* found = command->find(word);
    if (found == nullptr) {
      const std::string what =
          command == &program ? "command" : fmt::format("command of '{}'", command->full_name());
      throw Error(ErrorKind::kUsage, unknown_name_message(what, word, command->command_names()));
    }
    command = found;
  }
  return *command;
}

void declare_help(Command& command, const Command& program) {
  struct Options {
    std::vector<std::string> words;
    bool markdown = false;
  };
  const auto options = std::make_shared<Options>();
  command.summary("Print what a command does and takes");
  command.argument("COMMAND", &options->words, "The command, such as 'data check'")
      .without("the list of commands");
  command.flag("--markdown", &options->markdown,
               "All commands as one page of Markdown, which docs/cli.md is");
  command.example("marrow help data check");
  command.action([options, &program] {
    fmt::print("{}", options->markdown ? reference_markdown(program)
                                       : help_text(find_command(program, options->words)));
    return 0;
  });
}

void declare_completion(Command& command, const Command& program) {
  const auto shell = std::make_shared<std::string>();
  command.summary("Print a script that completes commands and options in a shell");
  command.argument("SHELL", shell.get(), "bash or zsh").choices({"bash", "zsh"}).required();
  command.note(
      "bash reads it with 'source <(marrow completion bash)'; zsh as the file _marrow in a folder of its "
      "fpath.");
  command.example("marrow completion bash > ~/.local/share/bash-completion/completions/marrow");
  command.action([shell, &program] {
    fmt::print("{}", *shell == "bash" ? bash_completion(program) : zsh_completion(program));
    return 0;
  });
}

void declare_man(Command& command, const Command& program) {
  const auto folder = std::make_shared<std::string>();
  command.summary("Write a man page for each command");
  command
      .argument("FOLDER", folder.get(), "Where to: marrow.1, marrow-train.1, ...; made where it is missing")
      .required();
  command.example("marrow man ~/.local/share/man/man1");
  command.action([folder, &program] {
    const std::filesystem::path path = *folder;
    make_folders(path);
    const std::vector<const Command*> all = all_commands(program);
    for (const Command* each : all)
      write_file_atomically(path / man_page_name(*each), man_page(*each, program.version()));
    fmt::print("{} man pages in {}\n", all.size(), path.string());
    return 0;
  });
}

}  // namespace

void add_commands_about(Command& program) {
  program.add("help", [&program](Command& command) { declare_help(command, program); });
  program.add("completion", [&program](Command& command) { declare_completion(command, program); });
  program.add("man", [&program](Command& command) { declare_man(command, program); });
}

}  // namespace marrow::cli
