#include "marrow/evaluate/metrics/dota_predictions.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

namespace marrow::evaluate {
namespace {

std::string task_file(std::string name) {
  std::ranges::replace_if(
      name, [](char c) { return c == ' ' || c == '/' || c == '\\' || static_cast<unsigned char>(c) < ' '; },
      '-');
  return "Task1_" + name + ".txt";
}

}  // namespace

std::map<std::string, std::string> dota_predictions(std::span<const CocoPrediction> predictions,
                                                    std::span<const std::string> names,
                                                    std::span<const int64_t> categories) {
  std::map<std::string, std::string> files;
  for (const std::string& name : names) files[task_file(name)];
  for (const CocoPrediction& prediction : predictions) {
    const auto category = std::ranges::find(categories, prediction.category_id);
    const auto fields = nlohmann::json::parse("{" + prediction.fields + "}", nullptr, false);
    if (category == categories.end() || !fields.contains("poly")) continue;
    std::string& text = files[task_file(names[static_cast<size_t>(category - categories.begin())])];
    text += fmt::format("{} {}", std::filesystem::path(prediction.file_name).stem().string(),
                        rounded_score(prediction.score));
    for (const nlohmann::json& number : fields["poly"])
      text += fmt::format(" {}", number.is_null() ? 0 : number.get<double>());
    text += '\n';
  }
  return files;
}

}  // namespace marrow::evaluate
