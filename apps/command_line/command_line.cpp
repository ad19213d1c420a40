#include "command_line/command_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

#include "marrow/base/text.h"

namespace marrow::cli {
namespace {

std::vector<std::string> split_names(const std::string& text) {
  std::vector<std::string> names;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    names.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return names;
}

// What a variable holds, as one would write it.
struct TextOf {
  std::string operator()(const std::string* value) const { return *value; }
  std::string operator()(const bool* value) const { return *value ? "on" : "off"; }
  std::string operator()(const TakeText&) const { return {}; }
  std::string operator()(const std::vector<std::string>* values) const { return join(*values, ","); }
  std::string operator()(const std::vector<int>* values) const {
    return fmt::format("{}", fmt::join(*values, ","));
  }
  template <class Value>
  std::string operator()(const std::optional<Value>* value) const {
    return *value ? (*this)(&**value) : std::string();
  }
  template <class Number>
  std::string operator()(const Number* value) const {
    return fmt::format("{}", *value);
  }
};

bool is_list(const Target& target) {
  return std::holds_alternative<std::vector<int>*>(target) ||
         std::holds_alternative<std::vector<std::string>*>(target);
}

bool is_number(const Target& target) {
  return !std::holds_alternative<std::string*>(target) && !std::holds_alternative<TakeText>(target) &&
         !std::holds_alternative<std::optional<std::string>*>(target) &&
         !std::holds_alternative<std::vector<std::string>*>(target);
}

}  // namespace

Option& Option::range(double smallest, double largest) {
  limits = {smallest, largest};
  return *this;
}

Option& Option::choices(std::vector<std::string> all) {
  known = std::move(all);
  return *this;
}

Option& Option::check(std::function<std::string(const std::string&)> why_not) {
  refusal = std::move(why_not);
  return *this;
}

Option& Option::required() {
  is_required = true;
  return *this;
}

Option& Option::type(std::string word) {
  value = std::move(word);
  return *this;
}

Option& Option::without(std::string what) {
  absence = std::move(what);
  return *this;
}

Option& Option::at_most(size_t values) {
  most = values;
  return *this;
}

Option& Option::pairs_too() {
  takes_pairs = true;
  return *this;
}

Option& Option::once_each() {
  takes = Takes::kRepeated;
  return *this;
}

// The last name is what the option is called.
Option& Option::also(std::string spelling) {
  names.insert(names.begin(), std::move(spelling));
  return *this;
}

Option& Option::or_place(std::string place) {
  argument = std::move(place);
  return *this;
}

Option& Option::or_value(std::string word) {
  takes = Takes::kSwitchOrValue;
  value = std::move(word);
  return *this;
}

const std::string& Option::name() const {
  return names.empty() ? argument : names.back();
}

std::string Option::spelling() const {
  return names.empty() ? "--" + to_lower(argument) : names.back();
}

std::string Option::value_text() const {
  if (takes == Takes::kSwitch) return {};
  std::string text = value;
  if (!known.empty()) return join(known, "|");
  if (limits) text += fmt::format("{}{}..{}", text.empty() ? "" : ":", limits->first, limits->second);
  if (text.empty()) text = is_number(target) ? "N" : "TEXT";
  return text;
}

std::string Option::default_note() const {
  if (is_required) return "[required]";
  return fmt::format("[default: {}]", absence.empty() ? default_text : absence);
}

Option& Command::option(const std::string& names, Target target, std::string help) {
  Option& option = options_.emplace_back();
  option.names = split_names(names);
  option.default_text = std::visit(TextOf(), target);
  if (is_list(target)) option.takes = Option::Takes::kList;
  if (std::holds_alternative<std::optional<std::string>*>(target))
    option.takes = Option::Takes::kOptionalValue;
  option.target = std::move(target);
  option.help = std::move(help);
  option.heading = heading_;
  return option;
}

Option& Command::flag(const std::string& names, Target target, std::string help) {
  Option& option = this->option(names, std::move(target), std::move(help));
  option.takes = Option::Takes::kSwitch;
  return option;
}

Option& Command::argument(const std::string& name, Target target, std::string help) {
  Option& option = this->option("", std::move(target), std::move(help));
  option.argument = name;
  return option;
}

void Command::add(const std::string& name, Declare declare) {
  Child& child = commands_.emplace_back(Child{std::make_unique<Command>(name), std::move(declare)});
  child.command->parent_ = this;
}

std::string Command::full_name() const {
  return (parent_ == nullptr ? "" : parent_->full_name() + " ") + name_;
}

const Command& Command::declared(Child& child) const {
  if (child.declare) std::exchange(child.declare, nullptr)(*child.command);
  return *child.command;
}

std::vector<std::string> Command::command_names() const {
  std::vector<std::string> names;
  for (const Child& child : commands_) names.push_back(child.command->name());
  return names;
}

const Command* Command::find(const std::string& name) const {
  for (Child& child : commands_)
    if (child.command->name() == name) return &declared(child);
  return nullptr;
}

std::vector<const Command*> Command::commands() const {
  std::vector<const Command*> all;
  for (Child& child : commands_) all.push_back(&declared(child));
  return all;
}

std::vector<const Command*> all_commands(const Command& program) {
  std::vector<const Command*> all = {&program};
  for (const Command* command : program.commands()) {
    const std::vector<const Command*> below = all_commands(*command);
    all.insert(all.end(), below.begin(), below.end());
  }
  return all;
}

}  // namespace marrow::cli
