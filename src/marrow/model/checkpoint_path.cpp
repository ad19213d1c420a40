#include "marrow/model/checkpoint_path.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/model/zoo.h"

namespace marrow::model {

namespace fs = std::filesystem;

bool has_checkpoint_suffix(const fs::path& path) {
  static constexpr std::array kSuffixes = {".safetensors", ".pt", ".pth", ".tar", ".pdparams", ".onnx"};
  return std::ranges::find(kSuffixes, to_lower(path.extension().string())) != kSuffixes.end();
}

bool is_checkpoint_path(const fs::path& model) {
  const std::string suffix = to_lower(model.extension().string());
  if (suffix == ".yaml" || suffix == ".yml") return false;
  std::error_code ignored;
  return has_checkpoint_suffix(model) || fs::is_regular_file(model, ignored);
}

void require_checkpoint_file(const fs::path& path) {
  std::error_code ignored;
  if (fs::exists(path, ignored)) return;
  std::string message = path.string() + ": there is no such file";
  fs::path ours = path;
  ours.replace_extension(".safetensors");
  const std::string name = path.stem().string();
  const std::vector<std::string> known = zoo_names();
  if (fs::exists(ours, ignored))
    message += fmt::format("; {} is there", ours.string());
  else if (std::ranges::find(known, name) != known.end())
    message += fmt::format(", and nothing is downloaded. Without weights the network is called {}", name);
  else if (const std::string near = likely_name(name); !near.empty())
    message += fmt::format(". Did you mean '{}{}'?", near, path.extension().string());
  throw Error(ErrorKind::kFile, message);
}

}  // namespace marrow::model
