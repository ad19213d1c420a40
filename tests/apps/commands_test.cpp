// Walks every command as the program declares it: help, docs, completion, man pages and behaviour agree.
#include "commands/commands.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>
#include <set>
#include <sstream>

#include "apps/program.h"
#include "command_line/completion.h"
#include "command_line/help.h"
#include "command_line/parse.h"
#include "marrow/base/error.h"
#include "support/message_of.h"
#include "support/temporary_folder.h"

namespace marrow::cli {
namespace {

using Words = std::vector<std::string>;

class Commands : public ::testing::Test {
 protected:
  Commands() : program_("marrow") { add_commands(program_); }

  std::vector<const Command*> actions() const {
    std::vector<const Command*> all = all_commands(program_);
    std::erase_if(all, [](const Command* command) { return !command->action(); });
    return all;
  }

  Command program_;
};

// As a shell would split them; what follows '#' or '>' is not for the program.
Words words_of(const std::string& line) {
  Words words;
  std::string word;
  bool inside = false, quoted = false;
  for (const char letter : line) {
    if (letter == '\'' || letter == '"') {
      quoted = !quoted;
      inside = true;
    } else if (letter == ' ' && !quoted) {
      if (inside) words.push_back(word);
      word.clear();
      inside = false;
    } else if (!inside && (letter == '#' || letter == '>' || letter == '|')) {
      return words;
    } else {
      word += letter;
      inside = true;
    }
  }
  if (inside) words.push_back(word);
  return words;
}

// The words that choose a command.
Words path_of(const Command& command) {
  Words words = words_of(command.full_name());
  words.erase(words.begin());
  return words;
}

std::string fitting_value(const Option& option) {
  if (!option.known.empty()) return option.known.front();
  return option.limits ? fmt::format("{}", option.limits->first) : "x";
}

// The fewest words that the command takes.
Words shortest_call(const Command& command) {
  Words words = path_of(command);
  for (const Option& option : command.options()) {
    if (!option.is_required) continue;
    if (!option.names.empty()) words.push_back(option.name());
    words.push_back(fitting_value(option));
  }
  return words;
}

Words operator+(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

TEST_F(Commands, AreThoseOfTheProgram) {
  const std::string help = marrow::testing::run_program({"--help"}).out;
  EXPECT_EQ(help, help_text(program_));
  for (const Command* command : actions()) {
    SCOPED_TRACE(command->full_name());
    EXPECT_EQ(testing::refusal_of([&] { parse(program_, shortest_call(*command)); }), "");
    EXPECT_EQ(marrow::testing::run_program(path_of(*command) + Words{"--help"}).out, help_text(*command));
  }
}

TEST_F(Commands, EveryOptionSaysItsDefaultOrWhatHappensWithoutIt) {
  for (const Command* command : actions())
    for (const Option& option : command->options()) {
      SCOPED_TRACE(command->full_name() + " " + option.name());
      EXPECT_NE(option.default_note(), "[default: ]");
      EXPECT_FALSE(option.help.empty());
      EXPECT_FALSE(option.help.ends_with('.'));
      std::string help = help_text(*command), spaced;
      std::istringstream stream(help);
      for (std::string word; stream >> word;) spaced += word + " ";
      EXPECT_NE(spaced.find(head_text(option) + " " + body_text(option)), std::string::npos) << spaced;
    }
}

TEST_F(Commands, EveryHelpEndsWithAnExampleThatParses) {
  for (const Command* command : all_commands(program_)) {
    if (command == &program_) continue;
    SCOPED_TRACE(command->full_name());
    ASSERT_FALSE(command->examples().empty());
    EXPECT_TRUE(help_text(*command).ends_with("\n  " + command->examples().back() + "\n"));
    for (const std::string& example : command->examples()) {
      Words words = words_of(example);
      ASSERT_EQ(words.front(), "marrow");
      words.erase(words.begin());
      EXPECT_EQ(testing::refusal_of([&] {
                  const Command* parsed = parse(program_, words).command;
                  EXPECT_TRUE(parsed->full_name().starts_with(command->full_name()));
                }),
                "")
          << example;
    }
  }
}

TEST_F(Commands, EveryCallInTheDocsParses) {
  int calls = 0;
  std::vector<std::filesystem::path> pages = {std::filesystem::path(MARROW_SOURCE_DIR) / "README.md"};
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(std::filesystem::path(MARROW_SOURCE_DIR) / "docs"))
    if (entry.path().extension() == ".md") pages.push_back(entry.path());
  for (const auto& page : pages)
    for (const std::string& line : marrow::testing::lines_of(marrow::testing::read_text(page))) {
      std::string call = line;
      for (const char* before : {"    ", "$ ", "./run "})
        if (call.starts_with(before)) call.erase(0, std::string(before).size());
      if (!line.starts_with("    ") || !call.starts_with("marrow ") || std::islower(call[7]) == 0) continue;
      // A form ("marrow train [OPTIONS]") is no call.
      if (call.find('[') != std::string::npos || call.find("...") != std::string::npos ||
          call.ends_with('\\'))
        continue;
      Words words = words_of(call);
      words.erase(words.begin());
      bool is_usage = false;
      for (const std::string& word : words)
        if (word == "COMMAND") is_usage = true;
      if (is_usage) continue;
      ++calls;
      EXPECT_EQ(testing::refusal_of([&] { parse(program_, words); }), "") << page << ": " << line;
    }
  EXPECT_GT(calls, 30);
}

// What a switch was set to.
bool value_of(const Command& command, const std::string& name) {
  for (const Option& option : command.options())
    if (option.name() == name) return *std::get<bool*>(option.target);
  ADD_FAILURE() << name;
  return false;
}

TEST_F(Commands, EverySwitchIsStatedInThreeWays) {
  const std::vector<std::pair<std::string, bool>> values = {
      {"true", true},   {"yes", true}, {"on", true},   {"1", true},  {"True", true},
      {"false", false}, {"no", false}, {"off", false}, {"0", false}, {"False", false}};
  int switches = 0;
  for (const Command* command : actions())
    for (const Option& option : command->options()) {
      if (option.takes != Option::Takes::kSwitch) continue;
      const std::string name = option.name();
      SCOPED_TRACE(command->full_name() + " " + name);
      ++switches;
      const auto expect = [&](const Words& words, bool wanted) {
        EXPECT_EQ(testing::refusal_of([&] { parse(program_, shortest_call(*command) + words); }), "");
        if (std::holds_alternative<bool*>(option.target)) {
          EXPECT_EQ(value_of(*command, name), wanted) << ::testing::PrintToString(words);
        }
      };
      expect({name}, true);
      expect({"--no-" + name.substr(2)}, false);
      for (const auto& [text, wanted] : values) {
        expect({name, text}, wanted);
        expect({name + "=" + text}, wanted);
      }
      expect({name, "--no-" + name.substr(2), name}, true);  // the last one counts
      EXPECT_NE(testing::refusal_of([&] {
                  parse(program_, shortest_call(*command) + Words{name + "=maybe"});
                }).find(name + ": 'maybe' is not true or false"),
                std::string::npos);
    }
  EXPECT_GT(switches, 40);
}

TEST_F(Commands, ASwitchLeavesTheArgumentBehindItAlone) {
  for (const Command* command : actions()) {
    const auto first = std::ranges::find_if(
        command->options(), [](const Option& option) { return option.takes == Option::Takes::kSwitch; });
    if (first == command->options().end()) continue;
    const std::string name = first->name();
    SCOPED_TRACE(command->full_name() + " " + name);
    Words rest, places;
    for (const Option& option : command->options()) {
      if (!option.is_required) continue;
      if (!option.argument.empty())
        places.push_back(fitting_value(option));
      else
        rest = rest + Words{option.name(), fitting_value(option)};
    }
    EXPECT_EQ(testing::refusal_of([&] { parse(program_, path_of(*command) + rest + Words{name} + places); }),
              "");
  }
}

TEST_F(Commands, UnknownOptionsAreToldTheNearest) {
  for (const Command* command : actions())
    for (const Option& option : command->options())
      for (const std::string& name : option.names) {
        if (!name.starts_with("--")) continue;
        const std::string message =
            testing::refusal_of([&] { parse(program_, path_of(*command) + Words{name + "x"}); });
        EXPECT_NE(message.find("unknown option of '" + command->full_name() + "' '" + name +
                               "x'. Did you mean '" + name),
                  std::string::npos)
            << message;
      }
}

TEST_F(Commands, UnderscoresAreAsGoodAsHyphens) {
  EXPECT_EQ(testing::refusal_of([&] {
              parse(program_, {"predict", "x.pt", "--source", "x", "--max_det", "3", "--save_txt=true"});
            }),
            "");
}

// name=value, as `yolo` takes it; an argument has a name too.
TEST_F(Commands, EveryOptionIsASettingToo) {
  for (const Command* command : actions()) {
    Words required = path_of(*command);
    for (const Option& option : command->options()) {
      if (!option.is_required) continue;
      std::string key = option.spelling().substr(2);
      std::ranges::replace(key, '-', '_');
      required.push_back(key + "=" + fitting_value(option));
    }
    EXPECT_EQ(testing::refusal_of([&] { parse(program_, required); }), "")
        << ::testing::PrintToString(required);
    for (const Option& option : command->options()) {
      if (option.is_required) continue;
      std::string key = option.spelling().substr(2);
      SCOPED_TRACE(command->full_name() + " " + key);
      if (option.takes == Option::Takes::kSwitch) {
        for (const char* value : {"True", "False", "true", "0"})
          EXPECT_EQ(testing::refusal_of([&] { parse(program_, required + Words{key + "=" + value}); }), "");
        EXPECT_NE(testing::refusal_of([&] { parse(program_, required + Words{key + "=maybe"}); }), "");
      } else if (option.known.empty() || !option.limits) {
        const bool any_text = std::holds_alternative<std::string*>(option.target);
        if (!any_text && !option.limits) continue;
        EXPECT_EQ(testing::refusal_of(
                      [&] { parse(program_, required + Words{key + "=" + fitting_value(option)}); }),
                  "");
      }
    }
  }
}

// Words of other programs: understood where there is such an option, answered where there is none.
TEST_F(Commands, HabitsOfOtherProgramsAreUnderstood) {
  const std::vector<Words> understood = {
      {"predict", "model=best.pt", "source=photos", "imgsz=320", "save=False"},
      {"detect", "predict", "model=best.pt", "source=photos", "classes=[0, 2]", "half=False"},
      {"predict", "detect", "model=best.pt", "source=photos", "show_labels=True", "stream=False"},
      {"task=detect", "mode=predict", "model=best.pt", "source=photos", "imgsz=[320,640]", "device=cpu"},
      {"model=best.pt", "source=photos", "mode=predict", "conf=None", "verbose=True", "batch=1"},
      {"predict", "--weights", "best.pt", "--source", "photos", "--img", "320", "--conf-thres", "0.4",
       "--iou-thres=0.5", "--nosave", "--workers", "4"},
      {"classify", "train", "model=yolov8n-cls", "data=d", "epochs=3", "half=False", "retina_masks=False"},
      {"train", "--data", "d.yaml", "--weights", "yolov8n", "--img", "640", "--batch-size", "8", "--noval",
       "--adam", "--noautoanchor", "False"},
      {"train", "data=d.yaml", "model=yolov8n", "device=None", "time=None", "amp=True", "cache=False"},
      {"val", "model=yolo26n.pt", "data=d.yaml", "nms=False"},
      {"train", "model=yolov8n", "data=d.yaml", "nms=False"},
      {"val", "model=best.pt", "data=d.yaml", "split=test", "plots=0", "workers=8", "save_hybrid=False"},
      {"export", "--model", "best.pt", "--include", "onnx", "simplify=True"},
      {"export", "model=best.pt", "format=onnx", "dynamic=True", "keras=False", "workspace=None"},
      {"export", "model=best.pt", "quantize=16", "nms=False"},
      {"mode=predict", "model=best.pt", "source=photos", "nms=False"},
      {"benchmark", "--model", "yolov8n", "imgsz=320"},
      {"data", "check", "data=d.yaml"},
      {"data", "convert", "out=o", "in=d.yaml", "to=coco"},
      {"import", "file=a.pt", "output=b.safetensors"},
      {"compare", "checkpoints=a.pt", "imgsz=320,640"},
      {"help", "predict"},
  };
  for (const Words& words : understood)
    EXPECT_EQ(testing::refusal_of([&] { parse(program_, words); }), "") << ::testing::PrintToString(words);

  const std::vector<std::pair<Words, std::string>> answered = {
      {{"predict", "model=m", "source=s", "epochs=3"},
       "'marrow predict' has no option '--epochs'; it is one of 'marrow train', 'marrow demo'"},
      {{"predict", "model=m", "source=s", "--noval"}, "'--val'; it is one of 'marrow train'"},
      {{"benchmark", "--nms"}, "has no option '--nms': 'marrow predict --end2end'"},
      {{"predict", "model=m", "source=s", "half=True"}, "has no option '--half': --precision bf16 or int8"},
      {{"predict", "source=s", "--batch-size", "4"}, "'--batch'; it is one of 'marrow train', 'marrow val'"},
      {{"val", "model=m", "data=d", "augment=True"}, "no augmentation while predicting"},
      {{"val", "model=m", "data=d", "device=0"}, "it computes on the CPU"},
      {{"train", "model=m", "data=d", "epoch=3"}, "'--epoch'. Did you mean '--epochs'?"},
      {{"train", "--model", "m", "--hyp", "hyp.yaml"}, "--cfg FILE"},
      {{"train", "--evolve"}, "no search for hyperparameters"},
      {{"predict", "model=m", "source=s", "save=maybe"}, "'maybe' is not true or false"},
      {{"semantic", "predict", "model=m"}, "semantic: a task that marrow does not have"},
      {{"task=depth", "mode=val"}, "depth: a task"},
      {{"task=detct", "mode=val"}, "unknown task 'detct'. Did you mean 'detect'?"},
      {{"mode=predit", "model=m"}, "unknown command 'predit'. Did you mean 'predict'?"},
      {{"predict", "mode=val", "model=m"}, "mode=val, but the command is 'predict'"},
  };
  for (const auto& [words, answer] : answered) {
    const std::string message = testing::refusal_of([&] { parse(program_, words); });
    EXPECT_NE(message.find(answer), std::string::npos) << ::testing::PrintToString(words) << ": " << message;
  }
}

// A hint has to help: what is near in letters and far in meaning is none.
TEST_F(Commands, AHintIsALikelySlip) {
  for (const char* word : {"--img", "--size", "--gpu", "--foo", "--lr"}) {
    const std::string message = testing::refusal_of([&] { parse(program_, {"models", word, "3"}); });
    EXPECT_EQ(message.find("Did you mean"), std::string::npos) << message;
  }
  EXPECT_NE(testing::refusal_of([&] {
              parse(program_, {"train", "--nmae", "x"});
            }).find("'--name'"),
            std::string::npos);
  EXPECT_EQ(testing::refusal_of([&] {
              parse(program_, {"train", "--abc", "x"});
            }).find("Did you mean"),
            std::string::npos);
}

// An option of one name is the same everywhere, apart from those that mean something else by their nature.
TEST_F(Commands, OptionsOfOneNameAgree) {
  const std::set<std::string> own_meaning = {
      "--backbone",   // of scale: what grows
      "--batch",      // images at once: of a rectangle, an input, an epoch
      "--classes",    // which to find; which to draw
      "--epochs",     // of the demo, fewer
      "--images",     // how many, of what; how they are carried over
      "--imgsz",      // of a network, of drawn images, several to compare
      "--json",       // of predict: a line an image
      "--model",      // one that is run; one that is trained; one that a backbone is put into
      "--rect",       // an image, a batch
      "--save",       // images, checkpoints
      "--save-json",  // after the last epoch
      "--scale",      // none
      "--source",     // images of all kinds; one image
      "--split",      // of show: the one to draw
      "--threads",    // of compare: several
      "--val",        // of show: how batches look
      "--verbose",    // of info: operations
  };
  std::map<std::string, std::pair<std::string, std::string>> seen;
  for (const Command* command : actions())
    for (const Option& option : command->options()) {
      if (option.names.empty() || own_meaning.contains(option.name())) continue;
      std::string help = option.help;
      for (const char* suffix : {" (detectors)", " (classifiers)"})
        if (help.ends_with(suffix)) help.resize(help.size() - std::string(suffix).size());
      // Files are named after their kind.
      const std::string text =
          help + " / " + (option.name() == "--output" ? std::string() : option.value_text());
      const auto [found, fresh] = seen.try_emplace(option.name(), text, command->full_name());
      EXPECT_EQ(found->second.first, text)
          << option.name() << " of " << found->second.second << " and " << command->full_name();
    }
}

TEST_F(Commands, OneModelIsNamedAlike) {
  for (const char* name : {"train", "val", "predict", "info", "deploy", "quantize", "export", "benchmark"}) {
    SCOPED_TRACE(name);
    const Command* command = program_.find(name);
    ASSERT_NE(command, nullptr);
    const auto model = std::ranges::find_if(command->options(),
                                            [](const Option& option) { return option.name() == "--model"; });
    ASSERT_NE(model, command->options().end());
    EXPECT_EQ(model->argument, "MODEL");
    Words rest;
    for (const Option& option : command->options())
      if (option.is_required && option.name() != "--model")
        rest = rest + Words{option.name(), fitting_value(option)};
    EXPECT_EQ(testing::refusal_of([&] { parse(program_, Words{name, "m.pt"} + rest); }), "");
    EXPECT_EQ(testing::refusal_of([&] { parse(program_, Words{name, "--model", "m.pt"} + rest); }), "");
    EXPECT_NE(testing::refusal_of([&] {
                parse(program_, Words{name, "--model", "m.pt", "n.pt"} + rest);
              }),
              "");
  }
}

TEST_F(Commands, TheReferenceIsWhatTheProgramSays) {
  const std::string page =
      marrow::testing::read_text(std::filesystem::path(MARROW_SOURCE_DIR) / "docs" / "cli.md");
  EXPECT_TRUE(page == reference_markdown(program_))
      << "docs/cli.md is not what the program says: marrow help --markdown > docs/cli.md";
  EXPECT_EQ(marrow::testing::run_program({"help", "--markdown"}).out, reference_markdown(program_));
}

TEST_F(Commands, HelpIsForEveryCommand) {
  EXPECT_EQ(marrow::testing::run_program({"help"}).out, help_text(program_));
  EXPECT_EQ(marrow::testing::run_program({"help", "data", "check"}).out,
            help_text(*program_.find("data")->find("check")));
  const auto refused = marrow::testing::run_program({"help", "chek"});
  EXPECT_EQ(refused.code, 2);
  EXPECT_SAYS(refused.err, "unknown command 'chek'");
}

// Runs a command of the shell; what it printed, and its exit code.
std::pair<std::string, int> shell(const std::string& command) {
  std::string out;
  std::FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return {"", -1};
  char buffer[4096];
  for (size_t count; (count = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, count);
  return {out, ::pclose(pipe)};
}

// What bash offers for the last of the words.
Words offered(const std::filesystem::path& script, const Words& words) {
  std::string call = "bash -c 'source " + script.string() + "; COMP_WORDS=(";
  for (const std::string& word : words) call += "\"" + word + "\" ";
  call += "); COMP_CWORD=" + std::to_string(words.size() - 1) +
          "; _marrow; printf \"%s\\n\" \"${COMPREPLY[@]}\"'";
  return marrow::testing::lines_of(shell(call).first);
}

TEST_F(Commands, BashCompletesThem) {
  const marrow::testing::TemporaryFolder folder;
  const auto script = folder / "marrow.bash";
  const auto result = marrow::testing::run_program({"completion", "bash"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out, bash_completion(program_));
  marrow::testing::write_text(script, result.out);
  EXPECT_EQ(shell("bash -n " + script.string()), (std::pair<std::string, int>("", 0)));

  Words commands = program_.command_names();
  EXPECT_EQ(offered(script, {"marrow", ""}), commands);
  EXPECT_EQ(offered(script, {"marrow", "pre"}), Words{"predict"});
  EXPECT_EQ(offered(script, {"marrow", "data", "c"}), (Words{"check", "convert"}));
  EXPECT_EQ(offered(script, {"marrow", "export", "--format", ""}), (Words{"onnx", "torch", "safetensors"}));
  EXPECT_EQ(offered(script, {"marrow", "train", "x", "--no-ex"}), Words{"--no-exist-ok"});
  for (const Command* command : actions()) {
    SCOPED_TRACE(command->full_name());
    const Words all = offered(script, Words{"marrow"} + path_of(*command) + Words{"--"});
    for (const Option& option : command->options())
      for (const std::string& name : option.names)
        if (name.starts_with("--")) {
          EXPECT_NE(std::ranges::find(all, name), all.end()) << name;
        }
  }
}

TEST_F(Commands, ZshIsToldOfThem) {
  const auto result = marrow::testing::run_program({"completion", "zsh"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(result.out.starts_with("#compdef marrow\n"));
  for (const Command* command : actions())
    for (const Option& option : command->options())
      for (const std::string& name : option.names) EXPECT_SAYS(result.out, "'" + name + "[");
  if (shell("command -v zsh").second != 0) return;
  const marrow::testing::TemporaryFolder folder;
  marrow::testing::write_text(folder / "_marrow", result.out);
  EXPECT_EQ(shell("zsh -n " + (folder / "_marrow").string()), (std::pair<std::string, int>("", 0)));
}

TEST_F(Commands, HaveManPages) {
  const marrow::testing::TemporaryFolder folder;
  const auto result = marrow::testing::run_program({"man", (folder / "man1").string()});
  ASSERT_EQ(result.code, 0) << result.err;
  const bool has_groff = shell("command -v groff").second == 0;
  for (const Command* command : all_commands(program_)) {
    const auto page = folder / "man1" / man_page_name(*command);
    SCOPED_TRACE(page.string());
    const std::string text = marrow::testing::read_text(page);
    EXPECT_TRUE(text.starts_with(".TH ")) << text;
    for (const char* section : {".SH NAME\n", ".SH SYNOPSIS\n", ".SH OPTIONS\n"}) EXPECT_SAYS(text, section);
    if (!has_groff) continue;
    EXPECT_EQ(shell("groff -man -Tutf8 -ww -z " + page.string()), (std::pair<std::string, int>("", 0)));
    const std::string formatted = shell("groff -man -Tascii -P-cbou " + page.string()).first;
    for (const Option& option : command->options())
      if (!option.names.empty() && option.argument.empty()) {
        EXPECT_SAYS(formatted, option.name().substr(2));
      }
  }
  EXPECT_TRUE(std::filesystem::exists(folder / "man1" / "marrow-data-check.1"));
  EXPECT_EQ(marrow::testing::run_program({"man", MARROW_PROGRAM}).code, 1);
}

}  // namespace
}  // namespace marrow::cli
