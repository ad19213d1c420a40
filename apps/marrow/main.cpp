// The program `marrow`: finds the command, runs it, and turns errors into one line and an exit code.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <new>

#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "support/cli.h"

namespace {

using marrow::cli::Action;

constexpr int kFailed = 1;
constexpr int kUsage = 2;

struct Command {
  CLI::App* app;
  Action action;
};

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands(nullptr)) names.push_back(command->get_name());
  return names;
}

// The command that was meant, of one that has commands of its own ("data check").
const CLI::App& innermost(const CLI::App& app) {
  const CLI::App* chosen = &app;
  while (!chosen->get_subcommands().empty()) chosen = chosen->get_subcommands().front();
  return *chosen;
}

// "data check"
std::string words_of(const CLI::App& command) {
  const CLI::App* parent = command.get_parent();
  const bool outermost = parent == nullptr || parent->get_parent() == nullptr;
  return (outermost ? "" : words_of(*parent) + " ") + command.get_name();
}

bool is_option(const std::string& word) {
  return word.size() > 1 && word.starts_with("-");
}

// CLI11 says what it could not place; this adds the nearest thing that exists, and where to read more.
std::string explain(const CLI::App& app, const std::vector<Command>& commands, const CLI::ParseError& error) {
  for (const Command& command : commands)
    if (command.app->parsed()) {
      const CLI::App& chosen = innermost(*command.app);
      const std::string name = "'marrow " + words_of(chosen) + "'";
      const std::vector<std::string> rest = command.app->remaining(true);
      const auto unknown = std::ranges::find_if(rest, is_option);
      if (unknown != rest.end())
        return marrow::unknown_name_message("option of " + name, unknown->substr(0, unknown->find('=')),
                                            option_names(chosen));
      if (!rest.empty() && !chosen.get_subcommands(nullptr).empty())
        return marrow::unknown_name_message("command of " + name, rest.front(), command_names(chosen));
      return fmt::format("{}. {} --help' lists the options, with an example", error.what(),
                         name.substr(0, name.size() - 1));
    }
  const std::vector<std::string> rest = app.remaining();
  if (rest.empty()) return "no command is given. 'marrow --help' lists them";
  std::vector<std::string> known;
  for (const Command& command : commands) known.push_back(command.app->get_name());
  if (!is_option(rest.front())) return marrow::unknown_name_message("command", rest.front(), known);
  return marrow::unknown_name_message("option", rest.front(), option_names(app));
}

// Never throws: stderr may be what cannot be written.
void complain(const std::string& message) {
  std::fputs(("marrow: " + message + "\n").c_str(), stderr);
}

// What was printed may still wait in a buffer, and the disk behind it may be full.
bool output_written() {
  std::cout.flush();
  return std::fflush(stdout) == 0 && std::ferror(stdout) == 0 && std::cout.good();
}

int run(int argc, char** argv) {
  CLI::App app{"YOLOv8 object detection with a backbone you can swap.", "marrow"};
  app.set_version_flag("--version", "marrow " MARROW_VERSION);
  app.require_subcommand(1);
  app.footer("\n'marrow COMMAND --help' lists a command's options with their defaults, and an example.");

  std::vector<Command> commands;
  for (Action (*add)(CLI::App&) :
       {marrow::cli::add_train, marrow::cli::add_val, marrow::cli::add_predict, marrow::cli::add_data,
        marrow::cli::add_info, marrow::cli::add_models, marrow::cli::add_import, marrow::cli::add_deploy,
        marrow::cli::add_quantize, marrow::cli::add_export, marrow::cli::add_benchmark,
        marrow::cli::add_compare, marrow::cli::add_scale, marrow::cli::add_demo}) {
    const size_t before = app.get_subcommands(nullptr).size();
    Action action = add(app);
    commands.push_back({app.get_subcommands(nullptr).at(before), std::move(action)});
  }

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help, --version
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    complain(explain(app, commands, error));
    return kUsage;
  }
  for (const Command& command : commands)
    if (command.app->parsed()) return command.action();
  return kUsage;
}

}  // namespace

int main(int argc, char** argv) {
  // A limit on file sizes is an error of the write that meets it, not the end of the process.
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    const int code = run(argc, argv);
    if (output_written()) return code;
    complain(std::string("the output cannot be written: ") + std::strerror(errno));
  } catch (const marrow::Error& error) {
    complain(error.what());
    return error.kind() == marrow::ErrorKind::kUsage ? kUsage : kFailed;
  } catch (const std::bad_alloc&) {
    complain("out of memory");
  } catch (const std::exception& error) {
    complain(error.what());
  }
  return kFailed;
}
