#include "command_line/help.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "marrow/base/text.h"

namespace marrow::cli {
namespace {

constexpr size_t kColumns = 100;
constexpr size_t kIndent = 30;  // of what an option does

// Words in lines of kColumns, all but the first indented.
std::string wrapped(const std::string& text, size_t indent) {
  std::istringstream words(text);
  std::string all;
  size_t column = indent;
  for (std::string word; words >> word;) {
    if (column > indent && column + 1 + word.size() > kColumns) {
      all += "\n" + std::string(indent, ' ');
      column = indent;
    }
    if (column > indent) {
      all += ' ';
      ++column;
    }
    all += word;
    column += word.size();
  }
  return all;
}

std::string entry(const std::string& head, const std::string& body) {
  std::string text = "  " + head;
  if (text.size() + 2 > kIndent)
    text += "\n" + std::string(kIndent, ' ');
  else
    text.resize(kIndent, ' ');
  return text + wrapped(body, kIndent) + "\n";
}

bool has_switches(const Command& command) {
  return std::ranges::any_of(command.options(), [](const Option& option) { return option.is_switch(); });
}

void add_options(const Command& command, std::string& text) {
  const auto place = [](const Option& option) { return !option.argument.empty(); };
  if (std::ranges::any_of(command.options(), place)) text += "\nArguments:\n";
  for (const Option& option : command.options())
    if (place(option)) text += entry(head_text(option), body_text(option));
  std::string heading;
  if (std::ranges::all_of(command.options(), place)) text += "\nOptions:\n";
  for (const Option& option : command.options()) {
    if (place(option)) continue;
    if (option.heading != heading) text += fmt::format("\n{}:\n", heading = option.heading);
    text += entry(head_text(option), body_text(option));
  }
  if (!command.version().empty()) text += entry("--version", "Print the version and exit");
  text += entry("-h, --help", "Print this help and exit");
}

}  // namespace

std::string usage_text(const Command& command) {
  std::string text = command.full_name();
  if (command.has_commands()) return text + " COMMAND [OPTIONS]";
  text += " [OPTIONS]";
  for (const Option& option : command.options()) {
    if (option.argument.empty()) continue;
    const std::string word = option.argument + (option.takes == Option::Takes::kList ? "..." : "");
    text += option.is_required ? " " + word : " [" + word + "]";
  }
  return text;
}

std::string head_text(const Option& option) {
  if (!option.argument.empty()) return option.argument;
  if (option.is_switch()) {
    std::vector<std::string> names(option.names.begin(), option.names.end() - 1);
    names.push_back("--[no-]" + option.name().substr(2));
    const std::string value = option.value_text();
    return join(names, ", ") + (value.empty() ? "" : " [" + value + "]");
  }
  const std::string value = option.value_text();
  return join(option.names, ", ") +
         (option.takes == Option::Takes::kOptionalValue ? " [" + value + "]" : " " + value);
}

std::string body_text(const Option& option) {
  std::string text = option.help;
  if (!option.argument.empty() && !option.names.empty())
    text += fmt::format("; {} {} is the same", option.name(), option.argument);
  return text + " " + option.default_note();
}

std::string help_text(const Command& command) {
  std::string text = fmt::format("{}\nUsage: {}\n", command.summary(), usage_text(command));
  if (command.has_commands()) {
    text += "\nCommands:\n";
    for (const Command* each : command.commands()) text += entry(each->name(), each->summary());
  }
  add_options(command, text);
  if (has_switches(command))
    text += "\n" +
            wrapped(
                "--[no-]NAME: --NAME, --NAME true and --NAME=true are the same; so are --no-NAME, "
                "--NAME false and --NAME=false.",
                0) +
            "\n";
  for (const std::string& note : command.notes()) text += "\n" + wrapped(note, 0) + "\n";
  if (!command.examples().empty()) text += command.examples().size() == 1 ? "\nExample:\n" : "\nExamples:\n";
  for (const std::string& example : command.examples()) text += "  " + example + "\n";
  return text;
}

}  // namespace marrow::cli
