// What a program takes on its command line, as data: commands, their options, and where the values go.
// Everything that reads it (the parser, --help, the reference in docs/, completion scripts, man pages) is in
// this folder, and reads the same. Nothing here knows the library that splits the words: parse.cpp does.
//
//   command.option("--conf", nms.confidence, "Confidence above which a detection counts").range(0, 1);
//   command.flag("--rect", rect, "Pad each image only as far as needed");
//
// An option's default is what its variable holds when it is declared; variables outlive the command.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace marrow::cli {

// Runs a command with its options as parsed; the result is the exit code.
using Action = std::function<int()>;
// Takes the value as text. Throws Error{kUsage} where it does not fit.
using TakeText = std::function<void(const std::string&)>;

// Where the value of an option goes.
using Target = std::variant<std::string*, int*, int64_t*, uint64_t*, float*, double*, bool*,
                            std::optional<int>*, std::optional<double>*, std::optional<std::string>*,
                            std::vector<int>*, std::vector<std::string>*, TakeText>;

struct Option {
  enum class Takes {
    kValue,
    kSwitch,         // true or false: --rect, --rect false, --no-rect
    kSwitchOrValue,  // as a switch, or --amp bf16
    kOptionalValue,  // --resume, --resume FOLDER
    kList,           // a,b,c
    kRepeated,       // --set a=1 --set b=2
  };

  std::vector<std::string> names;  // "-o", "--output"; none: an argument told by its place alone
  std::string argument;            // "MODEL" where a place among the words stands for it too
  Target target;
  std::string help;
  std::string heading;  // of its group in --help
  Takes takes = Takes::kValue;
  std::string value;         // what stands for the value: "FILE"
  std::string default_text;  // what the variable held
  std::string absence;       // what happens without it, where that is no value
  bool is_required = false;
  std::vector<std::string> known;                               // the values there are
  std::optional<std::pair<double, double>> limits;              // of a number
  std::function<std::string(const std::string&)> refusal = {};  // why a text does not fit, or nothing
  size_t most = 0;                                              // values of a list; 0: any number
  bool takes_pairs = false;  // of an argument: NAME=VALUE is a value of it, where NAME is no option

  // Numbers outside are refused, NaN too.
  Option& range(double smallest, double largest);
  Option& choices(std::vector<std::string> all);
  Option& check(std::function<std::string(const std::string&)> why_not);
  Option& required();
  Option& type(std::string word);
  Option& without(std::string what);  // "all", "told by the file"
  Option& at_most(size_t values);
  Option& pairs_too();
  Option& once_each();  // a list whose values are given one by one
  Option& also(std::string spelling);
  Option& or_value(std::string word);  // of a switch; check() says which values it takes
  bool is_switch() const { return takes == Takes::kSwitch || takes == Takes::kSwitchOrValue; }
  Option& or_place(std::string place);  // "MODEL": a word without an option before it is this one's value

  const std::string& name() const;  // the long one, or the argument's
  std::string spelling() const;     // as an option: "--output"; of an argument DATA "--data"
  // "0..1", "FILE", "a|b"; empty for a switch.
  std::string value_text() const;
  // "[default: 0.25]", "[required]"; every option has one.
  std::string default_note() const;
};

// A word that other programs have for an option. Where a command knows `ours` it is the same; elsewhere the
// words get the answer, unless they ask for nothing.
struct Habit {
  std::string name;         // "--img-size"; img_size=320 is found by it too
  std::string ours = {};    // "--imgsz"; "--no-save"; "--optimizer=Adam"; empty: nothing
  std::string answer = {};  // what to do instead
  // Whether a value asks for nothing; empty: none does.
  std::function<bool(const std::string&)> is_harmless = {};
};

class Command {
 public:
  using Declare = std::function<void(Command&)>;
  using Reword = std::function<std::vector<std::string>(const Command&, std::vector<std::string>)>;

  explicit Command(std::string name) : name_(std::move(name)) {}
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  // What it does, in a line.
  void summary(std::string text) { summary_ = std::move(text); }
  Option& option(const std::string& names, Target target, std::string help);
  Option& flag(const std::string& names, Target target, std::string help);
  Option& argument(const std::string& name, Target target, std::string help);
  // The heading of the options that follow.
  void group(std::string heading) { heading_ = std::move(heading); }
  // A paragraph between options and examples.
  void note(std::string text) { notes_.push_back(std::move(text)); }
  // A call that works.
  void example(std::string words) { examples_.push_back(std::move(words)); }
  void action(Action action) { action_ = std::move(action); }
  // A command of this one. `declare` is called when somebody asks for it.
  void add(const std::string& name, Declare declare);
  // Of the program: words that its commands hear from users of other programs.
  void habits(std::vector<Habit> habits) { habits_ = std::move(habits); }
  // Of the program: makes of the words those that name a command first. May throw Error{kUsage}.
  void reword(Reword reword) { reword_ = std::move(reword); }
  // What --version prints.
  void version(std::string text) { version_ = std::move(text); }

  const std::string& name() const { return name_; }
  std::string full_name() const;  // "marrow data check"
  const std::string& summary() const { return summary_; }
  const std::deque<Option>& options() const { return options_; }
  const std::vector<std::string>& notes() const { return notes_; }
  const std::vector<std::string>& examples() const { return examples_; }
  const Action& action() const { return action_; }
  const std::string& version() const { return version_; }
  bool has_commands() const { return !commands_.empty(); }
  std::vector<std::string> command_names() const;
  const Command& program() const { return parent_ == nullptr ? *this : parent_->program(); }
  const std::vector<Habit>& habits() const { return habits_; }
  const Reword& reword() const { return reword_; }
  // nullptr when there is none of this name.
  const Command* find(const std::string& name) const;
  std::vector<const Command*> commands() const;

 private:
  struct Child {
    std::unique_ptr<Command> command;
    Declare declare;  // empty once it was called
  };
  const Command& declared(Child& child) const;

  std::string name_, summary_, heading_ = "Options", version_;
  const Command* parent_ = nullptr;
  std::deque<Option> options_;
  std::vector<std::string> notes_, examples_;
  std::vector<Habit> habits_;
  Reword reword_;
  Action action_;
  mutable std::vector<Child> commands_;
};

// The command and all below it that do something or have commands, in order.
std::vector<const Command*> all_commands(const Command& program);

}  // namespace marrow::cli
