#include "marrow/evaluate/metrics/coco_predictions.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
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

double thousandths(double value) {
  return std::nearbyint(value * 1e3) / 1e3;
}

// "name": [numbers], rounded.
std::string number_list(std::string_view name, std::span<const float> numbers) {
  std::string text;
  for (const float number : numbers)
    text += fmt::format("{}{}", text.empty() ? "" : ", ", finite_or_zero(thousandths(double{number})));
  return fmt::format("\"{}\": [{}]", name, text);
}

std::string turned_fields(const RotatedBox<ImagePixels>& box) {
  std::vector<float> poly;
  for (const auto& [x, y] : box.corners()) poly.insert(poly.end(), {x, y});
  return fmt::format("{}, {}",
                     number_list("rbox", std::array{box.cx, box.cy, box.width, box.height, box.angle}),
                     number_list("poly", poly));
}

}  // namespace

CocoBox rounded(const CocoBox& box) {
  return {thousandths(box.x), thousandths(box.y), thousandths(box.width), thousandths(box.height)};
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
        prediction.turned
            ? ""
            : fmt::format("\"bbox\": [{}, {}, {}, {}], ", finite_or_zero(box.x), finite_or_zero(box.y),
                          finite_or_zero(box.width), finite_or_zero(box.height));
    const std::string fields = prediction.turned ? turned_fields(*prediction.turned) : prediction.fields;
    fmt::format_to(std::back_inserter(text),
                   "{}\n{{\"image_id\": {}, \"file_name\": {}, \"category_id\": {}, {}\"score\": {}{}{}}}",
                   text.size() > 1 ? "," : "",
                   number != nullptr ? std::to_string(*number) : quoted(std::get<std::string>(id)),
                   quoted(prediction.file_name), prediction.category_id, bbox,
                   finite_or_zero(rounded_score(prediction.score)), fields.empty() ? "" : ", ", fields);
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
