#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>

#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/model/spec.h"

namespace marrow::model {
namespace {

struct Known {
  std::string_view name;
  ActivationKind kind;
  std::string_view parameter;  // the number it takes; empty: none
  double standard;
};

constexpr Known kKnown[] = {
    {"SiLU", ActivationKind::kSilu, "", 0},
    {"ReLU", ActivationKind::kRelu, "", 0},
    {"ReLU6", ActivationKind::kRelu6, "", 0},
    {"LeakyReLU", ActivationKind::kLeakyRelu, "negative_slope", 0.01},
    {"Hardswish", ActivationKind::kHardSwish, "", 0},
    {"Hardsigmoid", ActivationKind::kHardSigmoid, "", 0},
    {"GELU", ActivationKind::kGelu, "", 0},
    {"Mish", ActivationKind::kMish, "", 0},
    {"Sigmoid", ActivationKind::kSigmoid, "", 0},
    {"Tanh", ActivationKind::kTanh, "", 0},
    {"ELU", ActivationKind::kElu, "alpha", 1.0},
    {"Identity", ActivationKind::kIdentity, "", 0},
};

}  // namespace

Activation parse_activation(std::string_view written) {
  std::string_view text = trimmed(written);
  for (const std::string_view prefix : {"torch.", "nn."})
    if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
  std::string_view arguments;
  if (const size_t open = text.find('('); open != std::string_view::npos) {
    if (!text.ends_with(')')) fail_model(fmt::format("activation '{}' lacks its ')'", printable(written)));
    arguments = trimmed(text.substr(open + 1, text.size() - open - 2));
    text = trimmed(text.substr(0, open));
  }
  const auto known = std::ranges::find(kKnown, text, &Known::name);
  if (known == std::end(kKnown)) {
    std::vector<std::string> names;
    for (const Known& one : kKnown) names.emplace_back(one.name);
    fail_model(unknown_name_message("activation", text, names));
  }
  Activation activation{known->kind, known->standard, {}};
  while (!arguments.empty()) {
    const size_t comma = arguments.find(',');
    std::string_view argument = trimmed(arguments.substr(0, comma));
    arguments = comma == std::string_view::npos ? "" : trimmed(arguments.substr(comma + 1));
    if (argument == "inplace=True" || argument == "inplace=False") continue;
    if (const size_t equals = argument.find('='); equals != std::string_view::npos) {
      if (trimmed(argument.substr(0, equals)) != known->parameter || known->parameter.empty())
        fail_model(fmt::format("activation {} has no argument '{}'", known->name,
                               printable(argument.substr(0, equals))));
      argument = trimmed(argument.substr(equals + 1));
    }
    const char* end = argument.data() + argument.size();
    const auto [at, error] = std::from_chars(argument.data(), end, activation.slope);
    if (known->parameter.empty() || error != std::errc() || at != end || !std::isfinite(activation.slope))
      fail_model(
          fmt::format("activation {}: argument '{}' is not one it takes", known->name, printable(argument)));
  }
  return activation;
}

}  // namespace marrow::model
