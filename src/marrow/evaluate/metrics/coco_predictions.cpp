#include "marrow/evaluate/metrics/coco_predictions.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>

namespace marrow::evaluate {
namespace {

std::string stem(const std::string& file_name) {
  return std::filesystem::path(file_name).stem().string();
}

// The name as a number, when it is one that fits.
std::optional<int64_t> numeric(const std::string& name) {
  constexpr size_t kMostDigits = 18;
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (name.empty() || name.size() > kMostDigits || !std::ranges::all_of(name, is_digit)) return std::nullopt;
  return std::stoll(name);
}

double finite_or_zero(double value) {
  return std::isfinite(value) ? value : 0.0;
}

}  // namespace

CocoBox rounded(const CocoBox& box) {
  const auto coordinate = [](double pixels) { return std::nearbyint(pixels * 1e3) / 1e3; };
  return {coordinate(box.x), coordinate(box.y), coordinate(box.width), coordinate(box.height)};
}

double rounded_score(double score) {
  return std::nearbyint(score * 1e5) / 1e5;
}

std::string coco_predictions_json(std::span<const CocoPrediction> predictions) {
  const auto quoted = [](const std::string& text) {
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  };
  std::string text = "[";
  for (const CocoPrediction& prediction : predictions) {
    const std::string name = stem(prediction.file_name);
    CocoImageId id = name;
    if (prediction.image_id)
      id = *prediction.image_id;
    else if (const std::optional<int64_t> number = numeric(name))
      id = *number;
    const auto* number = std::get_if<int64_t>(&id);
    const CocoBox box = rounded(prediction.box);
    const std::string bbox =
        prediction.has_box
            ? fmt::format("\"bbox\": [{}, {}, {}, {}], ", finite_or_zero(box.x), finite_or_zero(box.y),
                          finite_or_zero(box.width), finite_or_zero(box.height))
            : "";
    fmt::format_to(std::back_inserter(text),
                   "{}\n{{\"image_id\": {}, \"file_name\": {}, \"category_id\": {}, {}\"score\": {}{}{}}}",
                   text.size() > 1 ? "," : "",
                   number != nullptr ? std::to_string(*number) : quoted(std::get<std::string>(id)),
                   quoted(prediction.file_name), prediction.category_id, bbox,
                   finite_or_zero(rounded_score(prediction.score)), prediction.fields.empty() ? "" : ", ",
                   prediction.fields);
  }
  return text + "\n]\n";
}

std::vector<int64_t> coco_category_ids(int classes, bool coco91) {
  // Numbers that COCO planned for and never used.
  constexpr int64_t kUnused[] = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83};
  assert(!coco91 || classes <= 80);
  std::vector<int64_t> ids;
  for (int64_t id = 1; ids.size() < static_cast<size_t>(std::max(classes, 0)); ++id) {
    if (!coco91 || std::ranges::find(kUnused, id) == std::end(kUnused)) ids.push_back(id);
  }
  return ids;
}

}  // namespace marrow::evaluate
