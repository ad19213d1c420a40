#include "marrow/nn/blocks/module.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "marrow/base/error.h"

namespace marrow::nn {
namespace {

// Built on first use: registrations of other files may run before this file's own statics.
std::map<std::string, Module, std::less<>>& registry() {
  static std::map<std::string, Module, std::less<>> modules;
  return modules;
}

}  // namespace

ModuleRegistration::ModuleRegistration(Module module) {
  const std::string name = module.name;
  if (!registry().emplace(name, std::move(module)).second) {
    std::fprintf(stderr, "marrow: two modules are called '%s'\n", name.c_str());
    std::abort();
  }
}

const Module* find_module(std::string_view name) {
  const auto found = registry().find(name);
  return found == registry().end() ? nullptr : &found->second;
}

std::vector<std::string> module_names() {
  std::vector<std::string> names;
  for (const auto& [name, module] : registry()) names.push_back(name);
  return names;
}

Value ModuleCall::input() const {
  if (inputs.size() != 1)
    throw Error(ErrorKind::kModel,
                fmt::format("'from' names {} layers; this module reads one", inputs.size()));
  return inputs[0];
}

bool ModuleCall::absent(size_t index) const {
  return index >= args.size() || args[index].is_null();
}

void ModuleCall::refuse(size_t index, std::string_view wanted) const {
  const std::string name = index < argument_names.size() ? fmt::format(" ({})", argument_names[index]) : "";
  const auto replace = nlohmann::json::error_handler_t::replace;
  const std::string found = index < args.size()
                                ? fmt::format("is {:.60}", args[index].dump(-1, ' ', false, replace))
                                : "is missing";
  throw Error(ErrorKind::kModel, fmt::format("argument {}{} {}, wanted {}", index, name, found, wanted));
}

int ModuleCall::integer(size_t index) const {
  if (absent(index)) refuse(index, "a whole number");
  const nlohmann::json& value = args[index];
  if (!value.is_number() || std::floor(value.get<double>()) != value.get<double>())
    refuse(index, "a whole number");
  if (std::abs(value.get<double>()) > kMaxArgument)
    refuse(index, fmt::format("a whole number from {} to {}", -kMaxArgument, kMaxArgument));
  return static_cast<int>(value.get<double>());
}

int ModuleCall::integer(size_t index, int fallback) const {
  return absent(index) ? fallback : integer(index);
}

int ModuleCall::positive(size_t index, int fallback, int largest) const {
  const int value = integer(index, fallback);
  if (value < 1 || value > largest) refuse(index, fmt::format("a whole number from 1 to {}", largest));
  return value;
}

double ModuleCall::number(size_t index, double fallback) const {
  if (absent(index)) return fallback;
  if (!args[index].is_number() || !(std::abs(args[index].get<double>()) <= kMaxArgument))
    refuse(index, "a number");
  return args[index].get<double>();
}

bool ModuleCall::boolean(size_t index, bool fallback) const {
  if (absent(index)) return fallback;
  const nlohmann::json& value = args[index];
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_integer())
    if (const auto number = value.get<int64_t>(); number == 0 || number == 1) return number == 1;
  refuse(index, "True or False");
}

std::string ModuleCall::text(size_t index, std::string_view fallback) const {
  if (absent(index)) return std::string(fallback);
  if (!args[index].is_string()) refuse(index, "a word");
  return args[index].get<std::string>();
}

}  // namespace marrow::nn
