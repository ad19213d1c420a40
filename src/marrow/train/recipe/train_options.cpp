#include "marrow/train/recipe/train_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/text.h"
#include "marrow/base/yaml.h"
#include "marrow/train/recipe/foreign_settings.h"
#include "marrow/train/recipe/option_text.h"

namespace marrow::train {
namespace {

const TrainOption* find_option(std::string_view key) {
  const auto& table = train_option_table();
  const auto found = std::ranges::find(table, key, &TrainOption::key);
  return found == table.end() ? nullptr : &*found;
}

// A setting of files that older versions of Marrow wrote; whether it is one.
bool set_former_option(TrainOptions& options, std::string_view key, std::string_view text) {
  if (key != "amp_type") return false;
  if (options.amp == "true" && to_lower(text) != "auto") set_train_option(options, "amp", text);
  return true;
}

// A list of scalars as the text that `set` takes; anything deeper is refused by it.
std::string text_of(const YamlValue& value) {
  if (value.kind == YamlValue::Kind::kNull) return "null";
  if (!value.is_list()) return value.kind == YamlValue::Kind::kMap ? "{...}" : value.text;
  std::vector<std::string> items;
  for (const YamlValue& item : value.items) items.push_back(item.text);
  return fmt::format("[{}]", join(items, ", "));
}

}  // namespace

const TrainOption& train_option(std::string_view key) {
  const TrainOption* option = find_option(key);
  assert(option != nullptr);
  return *option;
}

void set_train_option(TrainOptions& options, std::string_view key, std::string_view text) {
  const TrainOption* option = find_option(key);
  if (option == nullptr && set_former_option(options, key, text)) return;
  if (option == nullptr) {
    std::vector<std::string> known;
    for (const TrainOption& row : train_option_table()) known.push_back(row.key);
    throw Error(ErrorKind::kUsage, unknown_name_message("setting", key, known));
  }
  option->set(options, text);
}

std::vector<std::string> read_train_options(const std::filesystem::path& path, TrainOptions& options) {
  const std::string file = path.string();
  const YamlValue yaml = parse_yaml(read_file(path, kMaxYamlBytes), file);
  if (!yaml.is_map() && yaml.kind != YamlValue::Kind::kNull)
    throw Error(ErrorKind::kFormat, file + ": wanted lines of 'key: value', found " + describe(yaml));
  if (yaml.find("head") != nullptr)
    throw Error(ErrorKind::kUsage, file + ": a model's YAML; it is given as --model");
  if (yaml.find("names") != nullptr)
    throw Error(ErrorKind::kUsage, file + ": a dataset's YAML; it is given as --data");
  std::vector<std::string> notices;
  for (size_t i = 0; i < yaml.keys.size(); ++i) {
    const std::string text = text_of(yaml.items[i]);
    const std::string place = fmt::format("{}:{}: ", file, yaml.key_lines[i]);
    if (const ForeignSetting* foreign = find_foreign_setting(yaml.keys[i])) {
      if (!is_harmless(*foreign, text))
        notices.push_back(
            fmt::format("{}{}: {} has no effect on training here", place, yaml.keys[i], printable(text)));
      continue;
    }
    try {
      set_train_option(options, yaml.keys[i], text);
    } catch (const Error& error) {
      throw Error(error.kind(), place + error.what());
    }
  }
  return notices;
}

std::string to_yaml(const TrainOptions& options, const std::map<std::string, std::string>& more) {
  std::string yaml;
  for (const TrainOption& option : train_option_table())
    yaml += option.key + ": " + option.text(options) + "\n";
  for (const auto& [key, value] : more) yaml += key + ": " + yaml_text(value) + "\n";
  return yaml;
}

std::map<std::string, std::string> to_map(const TrainOptions& options) {
  std::map<std::string, std::string> texts;
  const YamlValue yaml = parse_yaml(to_yaml(options), "options");
  for (size_t i = 0; i < yaml.keys.size(); ++i) texts[yaml.keys[i]] = text_of(yaml.items[i]);
  return texts;
}

TrainOptions train_options_of(const std::map<std::string, std::string>& texts, const std::string& where) {
  TrainOptions options;
  // A run that began when there were no others.
  if (!texts.contains("rules")) options.rules = rules_name(Rules::k83);
  for (const auto& [key, text] : texts) try {
      set_train_option(options, key, text);
    } catch (const Error& error) {
      throw Error(ErrorKind::kFormat, where + ": " + error.what());
    }
  return options;
}

}  // namespace marrow::train
