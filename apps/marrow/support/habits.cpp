#include "support/habits.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "marrow/base/error.h"
#include "marrow/base/task.h"
#include "marrow/base/text.h"
#include "marrow/train/recipe/foreign_settings.h"

namespace marrow::cli {
namespace {

using Words = std::vector<std::string>;

// Tasks of `yolo` that no command has.
constexpr std::array<std::string_view, 2> kOtherTasks = {"semantic", "depth"};

template <class Names>
bool contains(const Names& all, std::string_view word) {
  return std::ranges::find(all, word) != all.end();
}

// Of `yolo`, that there are commands for.
Words known_tasks() {
  Words tasks = task_names();
  tasks.emplace_back("classify");
  return tasks;
}

void check_task(const std::string& task) {
  const Words known = known_tasks();
  if (contains(known, task)) return;
  if (contains(kOtherTasks, task))
    throw Error(ErrorKind::kUsage,
                fmt::format("{}: a task that marrow does not have; it has {}", task, join(known, ", ")));
  throw Error(ErrorKind::kUsage, unknown_name_message("task", task, known));
}

// Takes `key=value` words of this key out; the value of the last.
std::optional<std::string> take_setting(Words& words, const std::string& key) {
  std::optional<std::string> value;
  std::erase_if(words, [&](const std::string& word) {
    const bool taken = word.starts_with(key + "=");
    if (taken) value = word.substr(key.size() + 1);
    return taken;
  });
  return value;
}

// Settings whose value decides what they are called here: of `command`, the first word.
Words with_our_settings(Words words) {
  struct Setting {
    std::string_view command, theirs, ours;
  };
  constexpr std::array<Setting, 5> kSettings = {{{"export", "nms=false", "end2end=true"},
                                                 {"export", "quantize=16", "half=true"},
                                                 {"export", "quantize=fp16", "half=true"},
                                                 {"export", "quantize=8", "int8=true"},
                                                 {"export", "quantize=int8", "int8=true"}}};
  for (std::string& word : words)
    for (const Setting& setting : kSettings)
      if (words[0] == setting.command && to_lower(word) == setting.theirs) word = setting.ours;
  return words;
}

// A mode of `yolo` is a command here, and its task is told by the model.
Words with_command_first(const Command& program, Words words) {
  const std::optional<std::string> task = take_setting(words, "task"), mode = take_setting(words, "mode");
  if (task) check_task(*task);
  const auto is_task = [](const std::string& word) {
    return contains(known_tasks(), word) || contains(kOtherTasks, word);
  };
  // `yolo` takes them in either order.
  const Words commands = program.command_names();
  const auto is_command = [&](const std::string& word) {
    return std::ranges::find(commands, word) != commands.end();
  };
  for (const size_t place : {size_t{0}, size_t{1}})
    if (place < words.size() && is_task(words[place]) && (place == 0 || is_command(words[0]))) {
      check_task(words[place]);
      words.erase(words.begin() + static_cast<std::ptrdiff_t>(place));
    }
  if (!mode) return words;
  if (!words.empty() && is_command(words[0])) {
    if (words[0] != *mode)
      throw Error(ErrorKind::kUsage,
                  fmt::format("mode={}, but the command is '{}'", printable(*mode), words[0]));
    return words;
  }
  words.insert(words.begin(), *mode);
  return words;
}

// Flags of YOLOv5's scripts and of others like them.
std::vector<Habit> flags_of_scripts() {
  const auto drop = [](const std::string& name, const std::string& why) {
    return Habit{name, {}, why + "; leave it out", [](const std::string& value) {
                   return parse_truth(value) == false;
                 }};
  };
  const std::string no_service = "nothing is sent anywhere";
  return {
      {"--weights", "--model"},
      {"--img", "--imgsz"},
      {"--img-size", "--imgsz"},
      {"--image-size", "--imgsz"},
      {"--batch-size", "--batch"},
      {"--conf-thres", "--conf"},
      {"--conf-thresh", "--conf"},
      {"--iou-thres", "--iou"},
      {"--iou-thresh", "--iou"},
      {"--amp-type", "--amp"},  // Marrow's own, once
      {"--agnostic", "--agnostic-nms"},
      {"--learning-rate", "--lr0"},
      {"--nms", "--no-end2end"},  // where no option of that name means another thing
      {"--num-workers", "--workers"},
      {"--noval", "--no-val"},
      {"--nosave", "--no-save"},
      {"--noplots", "--no-plots"},
      {"--adam", "--optimizer=Adam"},
      {"--sgd", "--optimizer=SGD"},
      {"--include", "--format"},
      {"--hyp",
       {},
       "hyperparameters are options (--lr0, --mosaic, ...) or lines of a --cfg FILE; YOLOv5's loss gains "
       "have "
       "another meaning here"},
      drop("--noautoanchor", "there are no anchors"),
      drop("--evolve", "there is no search for hyperparameters"),
      drop("--bucket", no_service),
      drop("--entity", no_service),
      drop("--upload-dataset", no_service),
      drop("--bbox-interval", no_service),
      drop("--artifact-alias", no_service),
      drop("--quad", "there is one way to make batches"),
      drop("--sync-bn", "one device trains"),
      drop("--local-rank", "one device trains"),
      drop("--linear-lr", "the rate falls along a line unless --cos-lr is given"),
      drop("--update", "a model stays as it is"),
      drop("--view-img", "--save writes the images"),
      drop("--save-csv", "--save-txt and --json write what is found"),
      drop("--stream", "results come one by one"),
  };
}

}  // namespace

void add_habits(Command& program) {
  std::vector<Habit> habits = flags_of_scripts();
  // Options of some commands that other programs have everywhere.
  const auto only = [](const std::string& harmless) {
    return [harmless](const std::string& value) { return to_lower(value) == harmless; };
  };
  habits.push_back({"--device", {}, "it computes on the CPU; leave it out", only("cpu")});
  habits.push_back({"--workers", {}, {}, [](const std::string&) { return true; }});
  habits.push_back({"--batch", {}, "it takes one image after the other; leave it out", only("1")});
  habits.push_back(
      {"--verbose", {}, "it says what it does in any case; leave it out", [](const std::string& value) {
         return parse_truth(value) == true;
       }});
  for (const train::ForeignSetting& setting : train::foreign_settings()) {
    Habit habit{.name = "--" + std::string(setting.key), .answer = std::string(setting.answer)};
    std::ranges::replace(habit.name, '_', '-');
    habit.is_harmless = [&setting](const std::string& value) { return is_harmless(setting, value); };
    habits.push_back(std::move(habit));
  }
  program.habits(std::move(habits));
  program.reword([](const Command& named, Words words) {
    return with_our_settings(with_command_first(named, std::move(words)));
  });
}

}  // namespace marrow::cli
