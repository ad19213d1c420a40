#include "command_line/completion.h"

#include <fmt/format.h>

#include "marrow/base/text.h"

namespace marrow::cli {
namespace {

using Takes = Option::Takes;

// The long spellings of an option, both of a switch.
std::vector<std::string> spellings(const Option& option) {
  std::vector<std::string> all = option.names;
  if (option.is_switch()) all.push_back("--no-" + option.name().substr(2));
  return all;
}

std::vector<std::string> option_words(const Command& command) {
  std::vector<std::string> words;
  for (const Option& option : command.options())
    for (std::string& word : spellings(option)) words.push_back(std::move(word));
  if (!command.version().empty()) words.emplace_back("--version");
  words.emplace_back("--help");
  return words;
}

// In single quotes, for either shell.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char letter : text) out += letter == '\'' ? std::string("'\\''") : std::string(1, letter);
  return out + "'";
}

// Lines of a `case` over the command's name, from what is said about each.
template <class Say>
std::string cases(const Command& program, const Say& say) {
  std::string text;
  for (const Command* command : all_commands(program))
    if (const std::string line = say(*command); !line.empty())
      text += fmt::format("    {}) {} ;;\n", quoted(command->full_name()), line);
  return text;
}

}  // namespace

std::string bash_completion(const Command& program) {
  const std::string& name = program.name();
  // The words before the cursor that are commands say which command it is.
  std::string text = fmt::format("# bash completion of {0}, written by '{0} completion bash'.\n", name);
  text += fmt::format("_{}() {{\n", name);
  text += "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n";
  text += fmt::format("  local command={} i commands options values\n", quoted(name));
  text +=
      "  COMPREPLY=()\n  for ((i = 1; i < COMP_CWORD; ++i)); do\n    case \"$command ${COMP_WORDS[i]}\" in\n";
  for (const Command* command : all_commands(program))
    if (command != &program) text += fmt::format("      {0}) command={0} ;;\n", quoted(command->full_name()));
  text += "      *) break ;;\n    esac\n  done\n";
  text += "  case \"$command\" in\n" +
          cases(program,
                [](const Command& command) -> std::string {
                  if (!command.has_commands()) return "";
                  return "commands=" + quoted(join(command.command_names(), " "));
                }) +
          "  esac\n";
  text +=
      "  case \"$command\" in\n" +
      cases(program,
            [](const Command& command) { return "options=" + quoted(join(option_words(command), " ")); }) +
      "  esac\n";
  text += "  case \"$command $before\" in\n";
  for (const Command* command : all_commands(program))
    for (const Option& option : command->options())
      if (!option.known.empty())
        for (const std::string& each : option.names.empty() ? std::vector{command->name()} : option.names)
          text += fmt::format("    {}) values={} ;;\n", quoted(command->full_name() + " " + each),
                              quoted(join(option.known, " ")));
  text += "  esac\n";
  text +=
      "  if [[ $word == -* ]]; then\n    COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
      "  elif [[ -n $values ]]; then\n    COMPREPLY=($(compgen -W \"$values\" -- \"$word\"))\n"
      "  elif [[ -n $commands ]]; then\n    COMPREPLY=($(compgen -W \"$commands\" -- \"$word\"))\n"
      "  else\n    compopt -o filenames 2>/dev/null\n    COMPREPLY=($(compgen -f -- \"$word\"))\n  fi\n}\n";
  return text + fmt::format("complete -F _{0} {0}\n", name);
}

std::string zsh_completion(const Command& program) {
  const std::string& name = program.name();
  // Brackets and colons divide what _arguments reads.
  const auto spec_text = [](const std::string& text) {
    std::string out;
    for (const char letter : text) {
      if (letter == '[' || letter == ']' || letter == ':' || letter == '\\') out += '\\';
      out += letter;
    }
    return out;
  };
  const auto spec = [&](const Option& option, const std::string& word) {
    std::string text = fmt::format("{}[{}]", word, spec_text(option.help));
    if (option.is_switch()) return quoted(text);
    text += fmt::format(":{}:", spec_text(option.value_text()));
    text += option.known.empty() ? "_files" : "(" + join(option.known, " ") + ")";
    return quoted(text);
  };
  std::string text =
      fmt::format("#compdef {0}\n# zsh completion of {0}, written by '{0} completion zsh'.\n", name);
  text += fmt::format("_{}() {{\n  local command={} i=2\n", name, quoted(name));
  text += "  while ((i < CURRENT)); do\n    case \"$command ${words[i]}\" in\n";
  for (const Command* command : all_commands(program))
    if (command != &program) text += fmt::format("      {0}) command={0} ;;\n", quoted(command->full_name()));
  text += "      *) break ;;\n    esac\n    ((++i))\n  done\n";
  // What _arguments sees begins with the command's own name.
  text += "  shift $((i - 2)) words\n  ((CURRENT -= i - 2))\n  case \"$command\" in\n";
  for (const Command* command : all_commands(program)) {
    text += fmt::format("    {})\n", quoted(command->full_name()));
    if (command->has_commands()) {
      text += "      local -a commands=(\n";
      for (const Command* each : command->commands())
        text += fmt::format("        {}\n", quoted(spec_text(each->name()) + ":" + each->summary()));
      text += "      )\n      _describe command commands\n      ;;\n";
      continue;
    }
    text += "      _arguments";
    for (const Option& option : command->options())
      for (const std::string& word : spellings(option)) text += " \\\n        " + spec(option, word);
    // A place has no values of its own, or these.
    std::string places = "_files";
    for (const Option& option : command->options())
      if (option.names.empty() && !option.known.empty()) places = "(" + join(option.known, " ") + ")";
    text += fmt::format(" \\\n        '--help[Print the options]' '*:argument:{}'\n      ;;\n", places);
  }
  text += "  esac\n}\n";
  // Either a function of fpath, called at once, or read as a script.
  return text +
         fmt::format("if [[ $funcstack[1] == _{0} ]]; then _{0} \"$@\"; else compdef _{0} {0}; fi\n", name);
}

}  // namespace marrow::cli
