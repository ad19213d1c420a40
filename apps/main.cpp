// The program `marrow`: finds the command, runs it, and turns errors into one line and an exit code.
#include <cstdio>
#include <iostream>
#include <new>

#include "base/error.h"
#include "base/text.h"
#include "cli.h"

namespace {

using marrow::cli::Action;

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

// CLI11 names what it could not place; this adds the nearest thing that exists.
std::string explain(const CLI::App& app, const std::vector<Command>& commands, const CLI::ParseError& error) {
  for (const Command& command : commands)
    if (command.app->parsed()) {
      for (const std::string& word : command.app->remaining())
        if (word.starts_with("-")) {
          const auto names = option_names(*command.app);
          return marrow::unknown_name_message("option of 'marrow " + command.app->get_name() + "'",
                                              word.substr(0, word.find('=')), names);
        }
      return error.what();
    }
  std::vector<std::string> names;
  for (const Command& command : commands) names.push_back(command.app->get_name());
  for (const std::string& word : app.remaining())
    if (!word.starts_with("-")) return marrow::unknown_name_message("command", word, names);
  return error.what();
}

}  // namespace

int main(int argc, char** argv) {
  constexpr int kFailed = 1;
  constexpr int kUsage = 2;
  try {
    CLI::App app{"YOLOv8 object detection with a backbone you can swap.", "marrow"};
    app.set_version_flag("--version", "marrow " MARROW_VERSION);
    app.require_subcommand(1);
    app.footer("\n'marrow COMMAND --help' lists a command's options with their defaults, and an example.");

    std::vector<Command> commands;
    for (Action (*add)(CLI::App&) : {marrow::cli::add_predict, marrow::cli::add_info, marrow::cli::add_models,
                                     marrow::cli::add_import, marrow::cli::add_demo}) {
      const size_t before = app.get_subcommands(nullptr).size();
      Action action = add(app);
      commands.push_back({app.get_subcommands(nullptr).at(before), std::move(action)});
    }

    try {
      app.parse(argc, argv);
    } catch (const CLI::Success& success) {  // --help, --version
      return app.exit(success);
    } catch (const CLI::ParseError& error) {
      std::cerr << "marrow: " << explain(app, commands, error) << '\n';
      return kUsage;
    }
    for (const Command& command : commands)
      if (command.app->parsed()) return command.action();
    return kUsage;
  } catch (const marrow::Error& error) {
    std::cerr << "marrow: " << error.what() << '\n';
    return error.kind() == marrow::ErrorKind::kUsage ? kUsage : kFailed;
  } catch (const std::bad_alloc&) {
    std::cerr << "marrow: out of memory\n";
    return kFailed;
  } catch (const std::exception& error) {
    std::cerr << "marrow: " << error.what() << '\n';
    return kFailed;
  }
}
