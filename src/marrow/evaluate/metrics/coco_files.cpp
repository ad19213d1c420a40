#include "marrow/evaluate/metrics/coco_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <unordered_set>

#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/evaluate/metrics/coco_rows.h"

namespace marrow::evaluate {
namespace {

std::string stem(const std::string& file_name) {
  return std::filesystem::path(file_name).stem().string();
}

// Throws with the place of a row in its file.
class RowChecker {
 public:
  RowChecker(const std::filesystem::path& path, const CocoRow& row) : path_(path), row_(row) {}

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorKind::kFormat,
                fmt::format("{}: {}[{}]: {}", path_.string(), printable(row_.section), row_.position, what));
  }

  template <class T>
  T need(const std::optional<T>& field, std::string_view name) const {
    if (!field) fail(fmt::format("{} is missing or of the wrong type", name));
    return *field;
  }

  BoxXywh box() const {
    const BoxXywh box = need(row_.bbox, "bbox");
    if (box[2] < 0 || box[3] < 0) fail(fmt::format("bbox has a negative side ({} x {})", box[2], box[3]));
    return box;
  }

 private:
  const std::filesystem::path& path_;
  const CocoRow& row_;
};

void check_annotations(const std::filesystem::path& path, const CocoGroundTruth& truth) {
  std::unordered_set<int64_t> images, categories;
  for (const CocoImage& image : truth.images) {
    if (!images.insert(image.id).second)
      throw Error(ErrorKind::kFormat, fmt::format("{}: two images have the id {}", path.string(), image.id));
  }
  for (const CocoCategory& category : truth.categories) {
    if (!categories.insert(category.id).second)
      throw Error(ErrorKind::kFormat,
                  fmt::format("{}: two categories have the id {}", path.string(), category.id));
  }
  for (size_t i = 0; i < truth.annotations.size(); ++i) {
    const CocoAnnotation& annotation = truth.annotations[i];
    const bool known_image = images.contains(annotation.image_id);
    if (known_image && categories.contains(annotation.category_id)) continue;
    throw Error(ErrorKind::kFormat, fmt::format("{}: annotations[{}]: {} {} is not listed", path.string(), i,
                                                known_image ? "category" : "image",
                                                known_image ? annotation.category_id : annotation.image_id));
  }
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

CocoGroundTruth read_coco_ground_truth(const std::filesystem::path& path) {
  CocoGroundTruth truth;
  read_coco_rows(path, false, [&](CocoRow& row) {
    const RowChecker check(path, row);
    if (row.section == "images") {
      truth.images.push_back({check.need(row.id, "id"), row.file_name.value_or("")});
    } else if (row.section == "categories") {
      truth.categories.push_back({check.need(row.id, "id"), row.name.value_or("")});
    } else if (row.section == "annotations") {
      const BoxXywh box = check.box();
      truth.annotations.push_back({check.need(row.image_id, "image_id"),
                                   check.need(row.category_id, "category_id"), box,
                                   row.area.value_or(box[2] * box[3]), row.crowd.value_or(false)});
    }
  });
  check_annotations(path, truth);
  return truth;
}

std::vector<CocoDetection> read_coco_detections(const std::filesystem::path& path,
                                                const CocoGroundTruth& truth) {
  std::unordered_set<int64_t> known;
  std::unordered_map<std::string, int64_t> by_name;
  for (const CocoImage& image : truth.images) {
    known.insert(image.id);
    by_name.emplace(stem(image.file_name), image.id);
  }
  std::vector<CocoDetection> detections;
  read_coco_rows(path, true, [&](CocoRow& row) {
    const RowChecker check(path, row);
    if (row.image_name) {
      const auto found = by_name.find(*row.image_name);
      if (found == by_name.end())
        check.fail(fmt::format("there is no image '{}' in the ground truth", printable(*row.image_name)));
      row.image_id = found->second;
    }
    const int64_t image_id = check.need(row.image_id, "image_id");
    if (!known.contains(image_id))
      check.fail(fmt::format("there is no image {} in the ground truth", image_id));
    detections.push_back(
        {image_id, check.need(row.category_id, "category_id"), check.box(), check.need(row.score, "score")});
  });
  return detections;
}

double rounded_coordinate(double pixels) {
  return std::nearbyint(pixels * 1e3) / 1e3;
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
    const std::optional<int64_t> number = prediction.image_id ? prediction.image_id : numeric(name);
    std::array<double, 4> box;
    std::ranges::transform(prediction.box, box.begin(),
                           [](double side) { return finite_or_zero(rounded_coordinate(side)); });
    fmt::format_to(
        std::back_inserter(text),
        "{}\n{{\"image_id\": {}, \"file_name\": {}, \"category_id\": {}, \"bbox\": [{}, {}, {}, {}], "
        "\"score\": {}}}",
        text.size() > 1 ? "," : "", number ? std::to_string(*number) : quoted(name),
        quoted(prediction.file_name), prediction.category_id, box[0], box[1], box[2], box[3],
        finite_or_zero(rounded_score(prediction.score)));
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
