// Metrics of masks, keypoints and turned boxes against golden/tasks/metrics: the reference's own and
// pycocotools' numbers. Integers are equal, the rest within 1e-6.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <regex>
#include <string>

#include "marrow/evaluate/metrics/average_precision.h"
#include "marrow/evaluate/metrics/coco.h"
#include "marrow/evaluate/metrics/confusion_matrix.h"
#include "marrow/evaluate/metrics/overlaps.h"
#include "marrow/geometry/probiou.h"
#include "marrow/weights/safetensors.h"
#include "support/golden.h"
#include "support/read_json.h"

namespace marrow {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr double kTaskMetric = 1e-6;

// One list of items, true or found, in the order of its file.
struct TaskItems {
  explicit TaskItems(const json& rows) {
    for (const json& row : rows) {
      images.push_back(row.at("image_id"));
      categories.push_back(row.at("category_id"));
      const auto box = row.at("bbox").get<std::array<double, 4>>();
      boxes.push_back({box[0], box[1], box[2], box[3]});
      scores.push_back(row.value("score", 0.0));
      areas.push_back(row.value("area", 0.0));
      if (row.contains("segmentation")) masks.push_back(mask_of(row.at("segmentation")));
      if (row.contains("keypoints")) keypoints.push_back(points_of(row.at("keypoints")));
      if (row.contains("rbox")) rotated.push_back(box_of(row.at("rbox")));
      if (row.contains("poly")) corners.push_back(corners_of(row.at("poly")));
    }
  }

  static Mask mask_of(const json& segmentation) {
    const Size size = {segmentation.at("size").at(1), segmentation.at("size").at(0)};
    const auto runs = parse_runs(segmentation.at("counts").get<std::string>(), 1 << 20);
    return mask_of_runs(runs.value(), size).value();
  }
  static std::vector<Keypoint<ImagePixels>> points_of(const json& numbers) {
    std::vector<Keypoint<ImagePixels>> points;
    for (size_t i = 0; i + 3 <= numbers.size(); i += 3)
      points.push_back({numbers[i].get<float>(), numbers[i + 1].get<float>(), numbers[i + 2].get<float>()});
    return points;
  }
  static RotatedBox<void, double> box_of(const json& n) {
    return {n[0].get<float>(), n[1].get<float>(), n[2].get<float>(), n[3].get<float>(), n[4].get<float>()};
  }
  static evaluate::Quadrilateral corners_of(const json& n) {
    evaluate::Quadrilateral corners;
    for (size_t i = 0; i < 4; ++i) corners[i] = {n[2 * i].get<double>(), n[2 * i + 1].get<double>()};
    return corners;
  }
  Box<InputPixels> corner_box(size_t i) const {
    const auto box = boxes[i].corner_form();
    return {static_cast<float>(box.x1), static_cast<float>(box.y1), static_cast<float>(box.x2),
            static_cast<float>(box.y2)};
  }
  std::vector<Keypoint<InputPixels>> input_points(size_t i) const {
    std::vector<Keypoint<InputPixels>> points;
    for (const auto& [x, y, visibility] : keypoints[i]) points.push_back({x, y, visibility});
    return points;
  }

  std::vector<int64_t> images, categories;
  std::vector<evaluate::CocoBox> boxes;
  std::vector<double> scores, areas;
  std::vector<Mask> masks;
  std::vector<std::vector<Keypoint<ImagePixels>>> keypoints;
  std::vector<RotatedBox<void, double>> rotated;
  std::vector<evaluate::Quadrilateral> corners;
};

struct RecordedMetrics {
  explicit RecordedMetrics(const fs::path& folder)
      : file(testing::read_json(folder / "gt.json")),
        truth(file.at("annotations")),
        found(testing::read_json(folder / "dt.json")),
        expected(testing::read_json(folder / "expected.json")),
        older(expected),
        coco(testing::read_json(folder / "coco_expected.json")) {
    older.update(testing::read_json(folder / "expected_8_3_253.json"));
    if (expected.contains("oks_sigmas")) sigmas = expected.at("oks_sigmas").get<std::vector<double>>();
  }

  json file;
  TaskItems truth, found;
  json expected, older, coco;  // older: by 8.3's rules
  std::vector<double> sigmas;

  const json& by(Rules rules) const { return rules == Rules::k84 ? expected : older; }
};
constexpr Rules kBothRules[] = {Rules::k84, Rules::k83};

void for_each_recorded_metrics(const std::function<void(const RecordedMetrics&)>& test) {
  testing::for_each_golden("tasks/metrics", [&](const fs::path& folder) {
    int compared = 0;
    for (const auto& entry : fs::directory_iterator(folder)) {
      SCOPED_TRACE(entry.path().string());
      test(RecordedMetrics(entry.path()));
      ++compared;
    }
    EXPECT_GT(compared, 0);
  });
}

// Of items by their places in the lists.
using ItemOverlap = std::function<float(size_t truth, size_t found)>;

std::vector<std::pair<std::string, ItemOverlap>> overlaps_of(const RecordedMetrics& r) {
  std::vector<std::pair<std::string, ItemOverlap>> overlaps;
  if (!r.found.rotated.empty()) {
    overlaps.emplace_back("box", [&r](size_t i, size_t d) {
      return static_cast<float>(probiou(GaussianBox(r.truth.rotated[i]), GaussianBox(r.found.rotated[d])));
    });
    return overlaps;
  }
  overlaps.emplace_back("box", [&r](size_t i, size_t d) {
    return evaluate::box_iou(r.truth.corner_box(i), r.found.corner_box(d));
  });
  if (!r.found.masks.empty())
    overlaps.emplace_back("mask", [&r](size_t i, size_t d) {
      return evaluate::mask_iou(trimmed(r.truth.masks[i]), trimmed(r.found.masks[d]));
    });
  if (!r.found.keypoints.empty())
    overlaps.emplace_back("pose", [&r](size_t i, size_t d) {
      return evaluate::keypoint_similarity(r.truth.input_points(i), r.found.input_points(d), r.sigmas,
                                           evaluate::keypoint_area(r.truth.corner_box(i)));
    });
  return overlaps;
}

// One image's part of the lists.
struct ImagePart {
  std::vector<evaluate::TruthBox> truth;
  std::vector<detect::InputDetection> detections;
  std::vector<size_t> truth_places, found_places;
};
std::vector<ImagePart> parts_of(const RecordedMetrics& r) {
  std::vector<ImagePart> parts;
  for (const json& image : r.file.at("images")) {
    ImagePart& part = parts.emplace_back();
    for (size_t i = 0; i < r.truth.images.size(); ++i)
      if (r.truth.images[i] == image.at("id")) {
        part.truth.push_back({r.truth.corner_box(i), static_cast<int>(r.truth.categories[i]) - 1});
        part.truth_places.push_back(i);
      }
    for (size_t d = 0; d < r.found.images.size(); ++d)
      if (r.found.images[d] == image.at("id")) {
        part.detections.push_back({r.found.corner_box(d), static_cast<float>(r.found.scores[d]),
                                   static_cast<int>(r.found.categories[d]) - 1});
        part.found_places.push_back(d);
      }
  }
  return parts;
}
evaluate::Overlap within(const ImagePart& part, const ItemOverlap& overlap) {
  return [&](size_t i, size_t d) { return overlap(part.truth_places[i], part.found_places[d]); };
}

void expect_blocks(const RecordedMetrics& r, Rules rules) {
  SCOPED_TRACE(rules_name(rules));
  const json& expected = r.by(rules);
  const std::map<std::string, std::string> keys = {
      {"box", "tp_per_detection"}, {"mask", "tp_m_per_detection"}, {"pose", "tp_p_per_detection"}};
  for (const auto& [name, overlap] : overlaps_of(r)) {
    SCOPED_TRACE(name);
    const json& rows = expected.at(keys.at(name));
    std::vector<evaluate::MatchedDetection> all;
    size_t compared = 0;
    for (const ImagePart& part : parts_of(r)) {
      const auto matched =
          evaluate::match_detections(part.truth, part.detections, within(part, overlap), rules);
      for (size_t d = 0; d < matched.size(); ++d, ++compared)
        for (size_t t = 0; t < evaluate::kIouThresholds; ++t)
          EXPECT_EQ(matched[d].true_positive[t], rows.at(part.found_places[d])[t].get<int>() != 0)
              << part.found_places[d] << ", " << t;
      all.insert(all.end(), matched.begin(), matched.end());
    }
    EXPECT_EQ(compared, rows.size());
    const auto instances = expected.at("nt_per_class").get<std::vector<int64_t>>();
    const evaluate::AveragePrecision ap = evaluate::average_precision(all, instances, rules);
    const json& block = expected.at(name);
    ASSERT_EQ(ap.classes.size(), block.at("P").size());
    for (size_t c = 0; c < ap.classes.size(); ++c) {
      EXPECT_EQ(ap.classes[c].class_id, expected.at("ap_class_index")[c].get<int>());
      EXPECT_NEAR(ap.classes[c].precision, block.at("P")[c].get<double>(), kTaskMetric);
      EXPECT_NEAR(ap.classes[c].recall, block.at("R")[c].get<double>(), kTaskMetric);
      EXPECT_NEAR(ap.classes[c].f1, block.at("F1")[c].get<double>(), kTaskMetric);
      for (size_t t = 0; t < evaluate::kIouThresholds; ++t)
        EXPECT_NEAR(ap.classes[c].ap[t], block.at("AP_per_iou")[c][t].get<double>(), kTaskMetric);
    }
    const std::string tag = name == "box" ? "(B)" : name == "mask" ? "(M)" : "(P)";
    const json& means = expected.at("results_dict");
    EXPECT_NEAR(ap.precision(), means.at("metrics/precision" + tag).get<double>(), kTaskMetric);
    EXPECT_NEAR(ap.recall(), means.at("metrics/recall" + tag).get<double>(), kTaskMetric);
    EXPECT_NEAR(ap.map50(), means.at("metrics/mAP50" + tag).get<double>(), kTaskMetric);
    EXPECT_NEAR(ap.map50_95(), means.at("metrics/mAP50-95" + tag).get<double>(), kTaskMetric);
  }
}

TEST(parity_task_metrics, TruePositivesAndPrecisionOfEveryBlock) {
  for_each_recorded_metrics([](const RecordedMetrics& r) {
    for (const Rules rules : kBothRules) expect_blocks(r, rules);
  });
}

void expect_confusion(const RecordedMetrics& r, Rules rules) {
  SCOPED_TRACE(rules_name(rules));
  const std::regex key_form("confusion_matrix_conf([0-9.]+)_iou([0-9.]+)");
  const ItemOverlap overlap = overlaps_of(r).front().second;
  int compared = 0;
  for (const auto& [key, rows] : r.by(rules).items()) {
    std::smatch parts;
    if (!std::regex_match(key, parts, key_form)) continue;
    SCOPED_TRACE(key);
    ASSERT_EQ(std::stof(parts[2]), evaluate::kConfusionIou);
    // 8.3 takes validation's default for prediction's by itself.
    const float stated = std::stof(parts[1]);
    const float confidence =
        rules == Rules::k84 ? stated : evaluate::confusion_confidence(stated, !r.found.rotated.empty());
    evaluate::ConfusionMatrix matrix(static_cast<int>(rows.size()));
    for (const ImagePart& part : parts_of(r))
      evaluate::add_detections(matrix, part.truth, part.detections, within(part, overlap), confidence, rules);
    for (int predicted = 0; predicted < matrix.size(); ++predicted)
      for (int truth = 0; truth < matrix.size(); ++truth)
        EXPECT_EQ(static_cast<double>(matrix.at(predicted, truth)),
                  rows[static_cast<size_t>(predicted)][static_cast<size_t>(truth)].get<double>())
            << predicted << ", " << truth;
    ++compared;
  }
  EXPECT_GT(compared, 0);
}

TEST(parity_task_metrics, ConfusionMatrices) {
  for_each_recorded_metrics([](const RecordedMetrics& r) {
    for (const Rules rules : kBothRules) expect_confusion(r, rules);
  });
}

template <class Report>
void expect_coco_numbers(const Report& report, const auto& names, const json& expected) {
  ASSERT_EQ(expected.at("stats").size(), report.numbers.size());
  for (size_t i = 0; i < report.numbers.size(); ++i)
    EXPECT_NEAR(report.numbers[i], expected.at("stats")[i].template get<double>(), kTaskMetric) << names[i];
  for (size_t c = 0; c < report.categories.size(); ++c) {
    const json& wanted = expected.at("per_category_AP50_95")[c];
    ASSERT_EQ(report.categories[c].ap50_95.has_value(), !wanted.is_null()) << c;
    if (report.categories[c].ap50_95) {
      EXPECT_NEAR(*report.categories[c].ap50_95, wanted.template get<double>(), kTaskMetric) << c;
    }
  }
}

// COCO's procedure by the overlap that the key names. Keys that end so have crowds.
void expect_coco_of(const RecordedMetrics& r, const std::string& key, const json& expected) {
  constexpr size_t kEvery = 11;
  const bool crowds = key.ends_with("_crowd_variant");
  const std::string kind = key.substr(0, key.find('_'));
  evaluate::CocoGroundTruth truth;
  for (const json& image : r.file.at("images")) truth.image_ids.push_back(image.at("id"));
  for (const json& category : r.file.at("categories")) truth.category_ids.push_back(category.at("id"));
  for (size_t i = 0; i < r.truth.images.size(); ++i) {
    truth.annotations.push_back({.image_id = r.truth.images[i],
                                 .category_id = r.truth.categories[i],
                                 .box = r.truth.boxes[i],
                                 .area = r.truth.areas[i],
                                 .crowd = crowds && i % kEvery == 0});
    if (kind == "keypoints")
      truth.annotations.back().ignored =
          std::ranges::none_of(r.truth.keypoints[i], [](const auto& p) { return p.visibility > 0; });
  }
  std::vector<evaluate::CocoDetection> found;
  for (size_t d = 0; d < r.found.images.size(); ++d) {
    found.push_back({r.found.images[d], r.found.categories[d], r.found.boxes[d], r.found.scores[d]});
    if (kind == "segm") found.back().own_area = static_cast<double>(r.found.masks[d].area());
  }
  const auto& names = evaluate::coco_number_names();
  if (kind == "bbox") return expect_coco_numbers(evaluate::evaluate_coco(truth, found), names, expected);
  if (kind == "segm")
    return expect_coco_numbers(
        evaluate::evaluate_coco(truth, found,
                                [&](size_t d, size_t a) {
                                  const auto shared = static_cast<double>(
                                      shared_pixels(trimmed(r.found.masks[d]), trimmed(r.truth.masks[a])));
                                  const auto own = static_cast<double>(r.found.masks[d].area());
                                  if (truth.annotations[a].crowd) return own == 0 ? 0 : shared / own;
                                  const double all =
                                      own + static_cast<double>(r.truth.masks[a].area()) - shared;
                                  return all == 0 ? 0 : shared / all;
                                }),
        names, expected);
  if (kind == "rotated")
    return expect_coco_numbers(evaluate::evaluate_coco(truth, found,
                                                       [&](size_t d, size_t a) {
                                                         return evaluate::polygon_iou(r.found.corners[d],
                                                                                      r.truth.corners[a]);
                                                       }),
                               names, expected);
  ASSERT_EQ(kind, "keypoints");
  expect_coco_numbers(evaluate::evaluate_coco_keypoints(truth, found,
                                                        [&](size_t d, size_t a) {
                                                          return evaluate::coco_keypoint_similarity(
                                                              r.truth.keypoints[a], r.found.keypoints[d],
                                                              r.sigmas, r.truth.boxes[a], r.truth.areas[a]);
                                                        }),
                      evaluate::coco_keypoint_number_names(), expected);
}

TEST(parity_task_metrics, CocosNumbers) {
  for_each_recorded_metrics([](const RecordedMetrics& r) {
    int compared = 0;
    for (const auto& [key, expected] : r.coco.items()) {
      if (!expected.is_object()) continue;
      SCOPED_TRACE(key);
      expect_coco_of(r, key, expected);
      ++compared;
    }
    EXPECT_GT(compared, 0);
  });
}

TEST(parity_task_metrics, SimilarityOfKeypoints) {
  testing::for_each_golden("tasks/primitives/keypoints.json", [](const fs::path& path) {
    const Weights golden =
        weights::read_safetensors(fs::path(path).replace_extension(".safetensors")).tensors;
    for (const json& row : testing::read_json(path)) {
      const std::string name = row.at("name");
      SCOPED_TRACE(name);
      const auto at = [&](const char* key) { return golden.at(name + "." + key); };
      const Tensor truth = at("gt"), found = at("pred"), similar = at("oks"), area = at("area"),
                   sigma = at("sigma");
      const std::vector<double> sigmas(sigma.values().begin(), sigma.values().end());
      const auto points = [](const Tensor& tensor, int64_t i) {
        std::vector<Keypoint<InputPixels>> list;
        for (int64_t k = 0; k < tensor.dim(1); ++k) {
          const float* const p = tensor.values().data() + (i * tensor.dim(1) + k) * tensor.dim(2);
          list.push_back({p[0], p[1], p[2]});
        }
        return list;
      };
      for (int64_t i = 0; i < truth.dim(0); ++i)
        for (int64_t d = 0; d < found.dim(0); ++d)
          EXPECT_NEAR(evaluate::keypoint_similarity(points(truth, i), points(found, d), sigmas,
                                                    area.values()[static_cast<size_t>(i)]),
                      similar.values()[static_cast<size_t>(i * found.dim(0) + d)], 1e-5);
    }
  });
}

}  // namespace
}  // namespace marrow
