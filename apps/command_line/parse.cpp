// The only file that knows CLI11, whose headers take seconds to compile.
#include "command_line/parse.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <ranges>

#include "marrow/base/error.h"
#include "marrow/base/text.h"

namespace marrow::cli {
namespace {

using Takes = Option::Takes;

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorKind::kUsage, message);
}

bool looks_like_an_option(const std::string& word) {
  return word.size() > 1 && word.starts_with('-');
}

// "imgsz=320", as users of `yolo` write settings.
bool looks_like_a_setting(const std::string& word) {
  const size_t equals = word.find('=');
  if (equals == std::string::npos || equals == 0 || std::isalpha(static_cast<unsigned char>(word[0])) == 0)
    return false;
  return std::all_of(word.begin(), word.begin() + static_cast<std::ptrdiff_t>(equals),
                     [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-'; });
}

// None, as Python says that nothing is set.
bool is_nothing(const std::string& text) {
  const std::string lower = to_lower(text);
  return lower == "none" || lower == "null" || lower.empty();
}

std::string with_hyphens(std::string name) {
  std::ranges::replace(name, '_', '-');
  return name;
}

// "[0, 2]" and "(640,480)" as "0,2" and "640,480".
std::string without_brackets(std::string text) {
  if (text.size() < 2 ||
      !((text.front() == '[' && text.back() == ']') || (text.front() == '(' && text.back() == ')')))
    return text;
  std::string items;
  for (const char c : text.substr(1, text.size() - 2))
    if (c != ' ' || (!items.empty() && items.back() != ',')) items += c;
  return items;
}

// Writes the words of a command so that every option has its value in the word behind it. CLI11 would let a
// switch that takes a value, or a list, swallow the argument that follows.
class Normaliser {
 public:
  Normaliser(const Command& command, const std::vector<std::string>& words)
      : command_(command), words_(words) {}

  struct Result {
    std::vector<std::string> words;
    bool help = false;
  };

  Result run() {
    for (next_ = 0; next_ < words_.size() && !result_.help;) {
      const std::string& word = words_[next_++];
      if (word == "--") {
        emit(word);
        while (next_ < words_.size()) emit(words_[next_++]);
      } else if (word.starts_with("--")) {
        long_option(word);
      } else if (looks_like_an_option(word)) {
        short_option(word);
      } else if (is_setting(word)) {
        setting(word);
      } else if (const Option* option = bare_switch(word)) {
        take(*option, option->spelling(), "true");
      } else {
        emit(word);
      }
    }
    return std::move(result_);
  }

 private:
  void emit(std::string word) { result_.words.push_back(std::move(word)); }

  // A file of such a name is one.
  static bool is_setting(const std::string& word) {
    std::error_code ignored;
    return looks_like_a_setting(word) && !std::filesystem::exists(word, ignored);
  }

  // `rect` beside settings is rect=True, as `yolo` has it; a file of such a name is one.
  const Option* bare_switch(const std::string& word) const {
    std::error_code ignored;
    if (std::ranges::none_of(words_, is_setting) || std::filesystem::exists(word, ignored)) return nullptr;
    const Option* option = find("--" + with_hyphens(word));
    if (option == nullptr) return nullptr;
    const bool may_be_alone = option->takes == Takes::kSwitch || option->takes == Takes::kSwitchOrValue ||
                              option->takes == Takes::kOptionalValue;
    return may_be_alone ? option : nullptr;
  }

  bool next_is_a_value() const {
    return next_ < words_.size() && !looks_like_an_option(words_[next_]) && !is_setting(words_[next_]);
  }

  static const Option* find(const Command& command, const std::string& name) {
    for (const Option& option : command.options())
      if (std::ranges::find(option.names, name) != option.names.end() || option.spelling() == name)
        return &option;
    return nullptr;
  }
  const Option* find(const std::string& name) const { return find(command_, name); }

  // Of the commands that have it, for who gives it to another.
  void refuse_option_of_others(const std::string& given) const {
    constexpr size_t kNamed = 3;
    std::vector<std::string> owners;
    for (const Command* other : all_commands(command_.program()))
      if (const Option* option = find(*other, with_hyphens(given)); option && !option->names.empty())
        owners.push_back(fmt::format("'{}'", other->full_name()));
    if (owners.empty()) return;
    const bool many = owners.size() > kNamed;
    owners.resize(std::min(owners.size(), kNamed));
    refuse(fmt::format("'{}' has no option '{}'; it is one of {}{}", command_.full_name(), given,
                       join(owners, ", "), many ? " and others" : ""));
  }

  [[noreturn]] void refuse_unknown(const std::string& name) const {
    std::vector<std::string> known = {"--help"};
    if (!command_.version().empty()) known.emplace_back("--version");
    for (const Option& option : command_.options())
      for (const std::string& each : option.names)
        if (each.starts_with("--")) known.push_back(each);
    if (name.starts_with("--") && nearest_name(name, known).empty()) refuse_option_of_others(name);
    const bool outermost = command_.has_commands() && !command_.version().empty();
    refuse(unknown_name_message(outermost ? "option" : fmt::format("option of '{}'", command_.full_name()),
                                name, known));
  }

  // A switch takes the next word only where it is a truth value.
  void take_switch(const Option& option, const std::string& name, std::optional<std::string> value) {
    if (!value && next_ < words_.size() && parse_truth(words_[next_])) value = words_[next_++];
    const bool alone = !value && next_is_a_value();
    const auto is_place = [](const Option& other) { return !other.argument.empty(); };
    if (alone && std::ranges::none_of(command_.options(), is_place)) value = words_[next_];
    const std::optional<bool> truth = value ? parse_truth(*value) : true;
    if (!truth) refuse(fmt::format("{}: '{}' is not true or false", name, printable(*value)));
    emit(option.spelling());
    emit(*truth ? "true" : "false");
  }

  // The next word where it is a value of the option.
  void take_switch_or_value(const Option& option, std::optional<std::string> value) {
    const auto fits = [&](const std::string& text) {
      return parse_truth(text) || option.refusal(text).empty();
    };
    if (!value && next_ < words_.size() && fits(words_[next_])) value = words_[next_++];
    emit(option.spelling());
    emit(value.value_or("true"));
  }

  // The next words too, as long as they can belong to a list.
  void take_list(const Option& option, std::optional<std::string> value) {
    const bool numbers = std::holds_alternative<std::vector<int>*>(option.target);
    if (!value && next_ < words_.size()) value = words_[next_++];
    emit(option.spelling());
    if (!value) return;
    emit(without_brackets(*value));
    while (next_is_a_value() &&
           (!numbers || (!words_[next_].empty() && std::isdigit(words_[next_][0]) != 0))) {
      emit(option.spelling());
      emit(words_[next_++]);
    }
  }

  // `--resume`, `--resume true` and `--resume FOLDER`; `--resume false` is as if it were not there.
  void take_optional(const Option& option, std::optional<std::string> value) {
    if (!value && next_is_a_value()) value = words_[next_++];
    const std::optional<bool> truth = value ? parse_truth(*value) : true;
    if (truth == false) return;
    emit(option.spelling());
    emit(truth ? "" : *value);
  }

  void take(const Option& option, const std::string& name, std::optional<std::string> value) {
    switch (option.takes) {
      case Takes::kSwitch:
        return take_switch(option, name, std::move(value));
      case Takes::kSwitchOrValue:
        return take_switch_or_value(option, std::move(value));
      case Takes::kList:
        return take_list(option, std::move(value));
      case Takes::kOptionalValue:
        return take_optional(option, std::move(value));
      case Takes::kValue:
      case Takes::kRepeated:
        if (!value && next_ < words_.size()) value = words_[next_++];
        emit(option.spelling());
        if (value) emit(*value);
    }
  }

  // What a habit of other programs means here.
  // This command's option that a habit means. --no-save is the switch --save too.
  const Option* meant_by(const Habit& habit) const {
    const std::string ours = name_in(habit);
    if (ours.empty()) return nullptr;
    const Option* option = find(ours);
    return option == nullptr && ours.starts_with("--no-") ? find("--" + ours.substr(5)) : option;
  }

  static std::string name_in(const Habit& habit) { return habit.ours.substr(0, habit.ours.find('=')); }

  void follow(const Habit& habit, const Option& option, const std::string& given,
              std::optional<std::string> value) {
    const std::string ours = name_in(habit);
    if (&option != find(ours)) {
      const bool off = !value || parse_truth(*value) != false;
      return take(option, given, off ? "false" : "true");
    }
    if (ours == habit.ours) return take(option, given, std::move(value));
    if (!value || parse_truth(*value) == true) take(option, given, habit.ours.substr(ours.size() + 1));
  }

  // What a habit that means no option of this command says, where a value asks for anything.
  void answer(const Habit& habit, const std::string& given, std::optional<std::string> value) {
    const auto harmless = [&](const std::string& text) {
      return is_nothing(text) || (habit.is_harmless && habit.is_harmless(text));
    };
    if (!value && next_is_a_value() && harmless(words_[next_])) value = words_[next_++];
    if (value && harmless(*value)) return;
    const std::string ours = name_in(habit);
    if (!ours.empty()) refuse_option_of_others(ours.starts_with("--no-") ? "--" + ours.substr(5) : ours);
    if (habit.answer.empty()) refuse_unknown(given);
    refuse(fmt::format("'{}' has no option '{}': {}", command_.full_name(), given, habit.answer));
  }

  // imgsz=320 is --imgsz=320. None stands for what holds without the option.
  void setting(const std::string& word) {
    const size_t equals = word.find('=');
    const std::string name = "--" + with_hyphens(word.substr(0, equals)), value = word.substr(equals + 1);
    const Option* option = find(name);
    if (!option && std::ranges::any_of(command_.options(), &Option::takes_pairs)) return emit(word);
    if (option && is_nothing(value) && !std::holds_alternative<TakeText>(option->target)) return;
    if (option && option->takes == Takes::kList) {
      emit(option->spelling());
      return emit(without_brackets(value));
    }
    long_option("--" + word);
  }

  // Underscores are as good as hyphens: --max_det.
  void long_option(const std::string& word) {
    const size_t equals = word.find('=');
    std::optional<std::string> value;
    if (equals != std::string::npos) value = word.substr(equals + 1);
    const std::string given = word.substr(0, equals);
    const std::string name = with_hyphens(given);
    if (name == "--help" && !value) {
      result_.help = true;
      return;
    }
    if (const Option* option = find(name)) return take(*option, name, std::move(value));
    if (name.starts_with("--no-"))
      if (const Option* option = find("--" + name.substr(5)); option && option->is_switch()) {
        if (value) refuse(fmt::format("{}: takes no value; wanted {}={}", name, option->name(), *value));
        emit(option->spelling());
        return emit("false");
      }
    const Habit* last = nullptr;
    for (const Habit& habit : command_.program().habits()) {
      if (habit.name != name) continue;
      if (const Option* option = meant_by(habit)) return follow(habit, *option, given, std::move(value));
      last = &habit;
    }
    if (last == nullptr) refuse_unknown(given);
    answer(*last, given, std::move(value));
  }

  // -o FILE, -oFILE, -v
  void short_option(const std::string& word) {
    const std::string name = word.substr(0, 2);
    if (word == "-h") {
      result_.help = true;
      return;
    }
    const Option* option = find(name);
    if (option == nullptr) refuse_unknown(word.substr(0, word.find('=')));
    std::optional<std::string> value;
    if (word.size() > 2) value = word.substr(word[2] == '=' ? 3 : 2);
    take(*option, name, std::move(value));
  }

  const Command& command_;
  const std::vector<std::string>& words_;
  size_t next_ = 0;
  Result result_;
};

CLI::Validator validator_of(const Option& option) {
  // What takes texts says itself which ones fit.
  if (std::holds_alternative<TakeText>(option.target) && !option.refusal) return {};
  const auto refusal = [&option](const std::string& text) -> std::string {
    if (option.limits) {
      const auto [smallest, largest] = *option.limits;
      char* end = nullptr;
      const double value = std::strtod(text.c_str(), &end);
      const bool number = end != text.c_str() && *end == '\0';
      if (!number || !(value >= smallest && value <= largest))
        return fmt::format("'{}' is not a number from {} to {}", text, smallest, largest);
    }
    if (!option.known.empty() && std::ranges::find(option.known, text) == option.known.end())
      return unknown_name_message("value", text, option.known);
    return option.refusal ? option.refusal(text) : std::string();
  };
  return {refusal, ""};
}

// Adds an option whose values CLI11 converts and puts into its target.
struct Adder {
  CLI::App& app;
  const std::string& names;

  CLI::Option* operator()(const TakeText& take) const {
    return app.add_option_function<std::string>(names, take);
  }
  CLI::Option* operator()(bool* target) const {
    return app.add_option_function<std::string>(
        names, [target](const std::string& text) { *target = text == "true"; });
  }
  CLI::Option* operator()(std::optional<std::string>* target) const {
    return app.add_option_function<std::string>(names, [target](const std::string& text) { *target = text; });
  }
  template <class Value>
  CLI::Option* operator()(Value* target) const {
    return app.add_option(names, *target);
  }
};

std::string names_for_cli11(const Option& option) {
  return option.spelling() + (option.argument.empty() ? "" : "," + option.argument);
}

const CLI::Option* add_option(CLI::App& app, const Option& option) {
  const std::string names = names_for_cli11(option);
  CLI::Option* added = std::visit(Adder{app, names}, option.target);
  const bool list = option.takes == Takes::kList, repeated = option.takes == Takes::kRepeated;
  if (list && option.argument.empty()) added->delimiter(',');
  // The normaliser gives every value its option's name, so that none takes the words behind it.
  if ((list || repeated) && option.argument.empty()) added->allow_extra_args(false);
  if (option.takes == Takes::kSwitch) added->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  added->check(validator_of(option));
  return added;
}

[[noreturn]] void refuse_without_command(const Command& command) {
  refuse(fmt::format("no command is given. '{} --help' lists them", command.full_name()));
}

// The innermost command that the words name; `used` words are its name.
const Command& find_command(const Command& program, const std::vector<std::string>& words, size_t& used) {
  const Command* command = &program;
  while (command->has_commands()) {
    if (used == words.size()) refuse_without_command(*command);
    const std::string& word = words[used];
    if (looks_like_an_option(word)) break;
    const Command* found = command->find(word);
    if (found == nullptr) {
      const std::string what =
          command == &program ? "command" : fmt::format("command of '{}'", command->full_name());
      refuse(unknown_name_message(what, word, command->command_names()));
    }
    command = found;
    ++used;
  }
  return *command;
}

void parse_options(const Command& command, std::vector<std::string> words) {
  CLI::App app;
  app.set_help_flag();
  std::vector<std::pair<const Option*, const CLI::Option*>> all;
  for (const Option& option : command.options()) all.emplace_back(&option, add_option(app, option));
  const auto refuse_with_help = [&](const std::string& message) {
    refuse(fmt::format("{}. '{} --help' lists the options, with an example", message, command.full_name()));
  };
  try {
    std::ranges::reverse(words);  // CLI11 takes them from the back
    app.parse(std::move(words));
  } catch (const CLI::ExtrasError& error) {
    // Who gives a path without its option's name means the option that is missing.
    const auto missing = std::ranges::find_if(
        all, [](const auto& each) { return each.first->is_required && each.second->count() == 0; });
    const std::vector<std::string> left = app.remaining();
    if (missing == all.end() || left.empty()) refuse_with_help(error.what());
    refuse_with_help(fmt::format("'{}' has no option's name before it; is it {} {}?", printable(left.front()),
                                 missing->first->name(), printable(left.front())));
  } catch (const CLI::ParseError& error) {
    refuse_with_help(error.what());
  }
  for (const auto& [option, added] : all) {
    if (option->is_required && added->count() == 0) refuse_with_help(option->name() + " is required");
    if (option->most == 0) continue;
    if (const size_t values = added->reduced_results().size(); values > option->most)
      refuse_with_help(fmt::format("{}: {} values; wanted at most {}", option->name(), values, option->most));
  }
}

}  // namespace

Parsed parse(const Command& program, const std::vector<std::string>& given) {
  const std::vector<std::string> words = program.reword() ? program.reword()(program, given) : given;
  size_t used = 0;
  const Command& command = find_command(program, words, used);
  Parsed parsed{.command = &command};
  const std::vector<std::string> rest(words.begin() + static_cast<std::ptrdiff_t>(used), words.end());
  if (!command.version().empty() && !rest.empty() && rest.front() == "--version") {
    parsed.wanted = Parsed::Wanted::kVersion;
    return parsed;
  }
  Normaliser::Result normal = Normaliser(command, rest).run();
  if (normal.help)
    parsed.wanted = Parsed::Wanted::kHelp;
  else if (command.has_commands())
    refuse_without_command(command);
  else
    parse_options(command, std::move(normal.words));
  return parsed;
}

}  // namespace marrow::cli
