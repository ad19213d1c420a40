// A command as a man page.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "command_line/help.h"

namespace marrow::cli {
namespace {

// groff takes a backslash for an escape, a hyphen for something a line may break at, and a dot or an
// apostrophe at the start of a line for a request.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char letter : text) {
    if (letter == '\\')
      out += "\\e";
    else if (letter == '-')
      out += "\\-";
    else
      out += letter;
  }
  return out.starts_with('.') || out.starts_with('\'') ? "\\&" + out : out;
}

std::string dashed_name(const Command& command) {
  std::string name = command.full_name();
  std::ranges::replace(name, ' ', '-');
  return name;
}

void add_option(const Option& option, std::string& text) {
  text += fmt::format(".TP\n.B {}\n{}\n", escaped(head_text(option)), escaped(body_text(option)));
}

void add_man_options(const Command& command, std::string& text) {
  const auto place = [](const Option& option) { return !option.argument.empty(); };
  if (std::ranges::any_of(command.options(), place)) text += ".SH ARGUMENTS\n";
  for (const Option& option : command.options())
    if (place(option)) add_option(option, text);
  text += ".SH OPTIONS\n";
  std::string heading = "Options";
  for (const Option& option : command.options()) {
    if (place(option)) continue;
    if (option.heading != heading) text += fmt::format(".SS {}\n", escaped(heading = option.heading));
    add_option(option, text);
  }
  text += ".TP\n.B \\-h, \\-\\-help\nPrint a summary of the options and exit\n";
}

}  // namespace

std::string man_page_name(const Command& command) {
  return dashed_name(command) + ".1";
}

std::string man_page(const Command& command, const std::string& version) {
  std::string title = dashed_name(command);
  std::ranges::transform(title, title.begin(), [](unsigned char c) { return std::toupper(c); });
  std::string text =
      fmt::format(".TH {} 1 \"\" \"{}\" \"User Commands\"\n.SH NAME\n{} \\- {}\n", escaped(title),
                  escaped(version), escaped(dashed_name(command)), escaped(command.summary()));
  text += fmt::format(".SH SYNOPSIS\n.B {}\n", escaped(usage_text(command)));
  if (command.has_commands()) {
    text += ".SH COMMANDS\n";
    for (const Command* each : command.commands())
      text += fmt::format(".TP\n.BR {} (1)\n{}\n", escaped(dashed_name(*each)), escaped(each->summary()));
  }
  add_man_options(command, text);
  if (!command.notes().empty()) text += ".SH NOTES\n";
  for (const std::string& note : command.notes()) text += fmt::format(".PP\n{}\n", escaped(note));
  if (!command.examples().empty()) text += ".SH EXAMPLES\n";
  for (const std::string& example : command.examples())
    text += fmt::format(".PP\n.nf\n{}\n.fi\n", escaped(example));
  return text;
}

}  // namespace marrow::cli
