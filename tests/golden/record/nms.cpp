// Non-maximum suppression by its definition, on boxes whose corners are multiples of a quarter: exact in
// float32, and no overlap is near a threshold.
#include <algorithm>
#include <numeric>
#include <set>
#include <stdexcept>

#include "plain_box.h"
#include "record.h"

namespace marrow::golden {
namespace {

struct Row {
  Box box;
  double score;
  int anchor, class_id;
};

// Indices of what stays, by falling score; of equal scores the earlier comes first.
std::vector<size_t> suppressed(const std::vector<Row>& rows, double threshold, bool across_classes,
                               bool ties = false) {
  std::vector<size_t> order(rows.size()), kept;
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::ranges::greater{}, [&](size_t i) { return rows[i].score; });
  for (const size_t i : order) {
    bool stays = true;
    for (const size_t k : kept) {
      if (!across_classes && rows[i].class_id != rows[k].class_id) continue;
      const double iou = overlap(rows[i].box, rows[k].box);
      if (!ties && std::abs(iou - threshold) < 1e-4) throw std::logic_error("an overlap is at the threshold");
      stays = stays && !(iou > threshold);
    }
    if (stays) kept.push_back(i);
  }
  return kept;
}

Tensor predictions(const std::string& name, int images, int classes, int anchors) {
  Tensor tensor({images, 4 + classes, anchors});
  Draws draws(name);
  for (int image = 0; image < images; ++image)
    for (int a = 0; a < anchors; ++a) {
      const auto put = [&](int row, double value) {
        tensor.values()[static_cast<size_t>((image * (4 + classes) + row) * anchors + a)] =
            static_cast<float>(value);
      };
      // Crowded, so that much overlaps.
      put(0, draws.between(40, 120) / 2.0);
      put(1, draws.between(40, 120) / 2.0);
      put(2, draws.between(20, 80) / 2.0);
      put(3, draws.between(20, 80) / 2.0);
      for (int c = 0; c < classes; ++c) put(4 + c, draws.uniform() * draws.uniform());
    }
  return tensor;
}

std::vector<Row> detections(const Tensor& predictions, int64_t image, const json& settings) {
  const int classes = static_cast<int>(predictions.dim(1)) - 4;
  const auto anchors = static_cast<int>(predictions.dim(2));
  const auto value = [&](int row, int a) {
    return static_cast<double>(
        predictions.values()[static_cast<size_t>((image * (4 + classes) + row) * anchors + a)]);
  };
  const double confidence = settings.value("conf_thres", 0.25), threshold = settings.value("iou_thres", 0.45);
  const bool several = settings.value("multi_label", false) && classes > 1;
  std::vector<Row> rows;
  for (int a = 0; a < anchors; ++a) {
    const double x = value(0, a), y = value(1, a), w = value(2, a) / 2, h = value(3, a) / 2;
    int best = 0;
    for (int c = 1; c < classes; ++c)
      if (value(4 + c, a) > value(4 + best, a)) best = c;
    for (int c = 0; c < classes; ++c)
      if ((several || c == best) && value(4 + c, a) > static_cast<double>(static_cast<float>(confidence)))
        rows.push_back({{x - w, y - h, x + w, y + h}, value(4 + c, a), a, c});
  }
  if (settings.contains("classes")) {
    const auto wanted = settings.at("classes").get<std::set<int>>();
    std::erase_if(rows, [&](const Row& row) { return !wanted.contains(row.class_id); });
  }
  const auto limit = static_cast<size_t>(settings.value("max_nms", 30000));
  if (rows.size() > limit) {
    std::ranges::stable_sort(rows, std::ranges::greater{}, &Row::score);
    rows.resize(limit);
  }
  std::vector<Row> kept;
  for (const size_t i : suppressed(rows, threshold, settings.value("agnostic", false)))
    kept.push_back(rows[i]);
  if (kept.size() > static_cast<size_t>(settings.value("max_det", 300)))
    kept.resize(static_cast<size_t>(settings.value("max_det", 300)));
  return kept;
}

void record_cases(const fs::path& path, const Tensor& predictions, const std::vector<json>& settings) {
  Weights tensors = {{"pred", predictions}};
  json cases = json::array();
  for (size_t i = 0; i < settings.size(); ++i) {
    json counts = json::array();
    for (int64_t image = 0; image < predictions.dim(0); ++image) {
      const auto found = detections(predictions, image, settings[i]);
      std::vector<double> rows;
      std::vector<int> anchors;
      for (const Row& row : found) {
        rows.insert(rows.end(), row.box.begin(), row.box.end());
        rows.insert(rows.end(), {row.score, static_cast<double>(row.class_id)});
        anchors.push_back(row.anchor);
      }
      const std::string prefix = "case" + std::to_string(i) + ".img" + std::to_string(image) + ".";
      const auto count = static_cast<int64_t>(found.size());
      tensors.emplace(prefix + "det", tensor_of<float>({count, 6}, rows));
      tensors.emplace(prefix + "anchor_idx", tensor_of<int64_t>({count}, anchors));
      counts.push_back(count);
    }
    cases.push_back({{"case", i}, {"settings", settings[i]}, {"counts", counts}});
  }
  write_tensors(fs::path(path) += ".safetensors", tensors);
  write_json(fs::path(path) += ".json", {{"cases", cases}});
}

void record_ties(const fs::path& path) {
  const std::vector<Row> rows = {
      {{0, 0, 10, 10}, 0.5, 0, 0},   {{0, 0, 10, 10}, 0.5, 1, 0},  // identical: the first stays
      {{0, 0, 20, 10}, 0.9, 2, 0},  // half of it is the first: 0.5 is not above 0.5
      {{30, 30, 30, 40}, 0.4, 3, 0}, {{30, 30, 30, 40}, 0.3, 4, 0},  // no area: 0/0 suppresses nothing
      {{50, 50, 60, 60}, 0.7, 5, 0}, {{55, 50, 65, 60}, 0.7, 6, 0},  // a third overlaps
      {{100, 0, 110, 10}, 0.1, 7, 0}};
  std::vector<double> boxes, scores;
  for (const Row& row : rows) {
    boxes.insert(boxes.end(), row.box.begin(), row.box.end());
    scores.push_back(row.score);
  }
  const auto count = static_cast<int64_t>(rows.size());
  Weights tensors = {{"boxes", tensor_of<float>({count, 4}, boxes)},
                     {"scores", tensor_of<float>({count}, scores)}};
  for (const auto& [name, threshold] :
       {std::pair{"keep_iou0.3000", 0.3}, {"keep_iou0.5000", 0.5}, {"keep_iou0.7000", 0.7}}) {
    const auto kept = suppressed(rows, threshold, true, true);
    tensors.emplace(name, tensor_of<int64_t>({static_cast<int64_t>(kept.size())}, kept));
  }
  write_tensors(path, tensors);
}

}  // namespace

void record_nms(const fs::path& root) {
  const fs::path folder = root / "yolov8" / "nms";
  record_cases(folder / "nms", predictions("nms", 2, 4, 90),
               {{{"conf_thres", 0.001}, {"iou_thres", 0.7003}, {"multi_label", true}},
                {{"conf_thres", 0.25}, {"iou_thres", 0.4503}},
                {{"conf_thres", 0.25}, {"iou_thres", 0.4503}, {"agnostic", true}},
                {{"conf_thres", 0.1}, {"iou_thres", 0.6003}, {"classes", {0, 2}}},
                {{"conf_thres", 0.1}, {"iou_thres", 0.6003}, {"max_det", 5}},
                {{"conf_thres", 0.05}, {"iou_thres", 0.6003}, {"max_nms", 20}, {"multi_label", true}},
                {{"conf_thres", 0.9999}}});
  record_cases(folder / "nms_nc1", predictions("nms_nc1", 1, 1, 60),
               {{{"conf_thres", 0.001}, {"iou_thres", 0.7003}, {"multi_label", true}},
                {{"conf_thres", 0.25}, {"iou_thres", 0.4503}}});
  record_ties(folder / "nms_primitive_ties.safetensors");
}

}  // namespace marrow::golden
