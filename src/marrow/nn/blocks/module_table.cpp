#include "marrow/nn/blocks/module_table.h"

#include <fmt/format.h>

#include "marrow/base/text.h"
#include "marrow/nn/blocks/module.h"
#include "marrow/nn/blocks/refused_modules.h"

namespace marrow::nn {

std::string module_table() {
  std::string text = "| module | arguments |\n| --- | --- |\n";
  for (const std::string& name : module_names()) {
    const Module& module = *find_module(name);
    text += fmt::format("| `{}` | {}{} |\n", name, join(module.arguments, ", "),
                        module.channels == Module::Channels::kScaled ? " (the first is scaled)" : "");
  }
  text += "\n| refused | what it is |\n| --- | --- |\n";
  for (const auto& [name, what] : refused_modules()) text += fmt::format("| `{}` | {} |\n", name, what);
  return text;
}

}  // namespace marrow::nn
