// A report as text and as JSON.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "marrow/evaluate/metrics/detection_validator.h"

namespace marrow::evaluate {
namespace {

std::string numbers(double precision, double recall, double map50, double map50_95) {
  return fmt::format("{:>11.3g}{:>11.3g}{:>11.3g}{:>11.3g}", precision, recall, map50, map50_95);
}
std::string numbers(const AveragePrecision& all) {
  return numbers(all.precision(), all.recall(), all.map50(), all.map50_95());
}
std::string numbers(const ClassPrecision& one) {
  return numbers(one.precision, one.recall, one.map50(), one.map50_95());
}
std::string line(std::string_view name, int64_t images, int64_t instances, const std::string& blocks) {
  return fmt::format("{:>22}{:>11}{:>11}{}\n", name, images, instances, blocks);
}

std::string_view block_name(SecondBlock block) {
  return block == SecondBlock::kMasks ? "Mask(P" : "Pose(P";
}

nlohmann::ordered_json or_null(const std::optional<double>& value) {
  return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
}

}  // namespace

std::string report_table(const DetectionReport& report, bool per_class) {
  const AveragePrecision& all = report.ultralytics;
  const bool two = report.block != SecondBlock::kNone;
  const auto heads = [](std::string_view first) {
    return fmt::format("{:>11}{:>11}{:>11}{:>11}", first, "R", "mAP50", "mAP50-95)");
  };
  std::string text = fmt::format("{:>22}{:>11}{:>11}{}{}\n", "Class", "Images", "Instances", heads("Box(P"),
                                 two ? heads(block_name(report.block)) : "");
  text += line("all", report.images, report.instances, numbers(all) + (two ? numbers(report.second) : ""));
  if (!per_class || report.names.size() < 2) return text;
  for (size_t i = 0; i < all.classes.size(); ++i) {
    const ClassPrecision& one = all.classes[i];
    const auto c = static_cast<size_t>(one.class_id);
    text += line(report.names[c], report.images_of_class[c], one.instances,
                 numbers(one) + (two ? numbers(report.second.classes[i]) : ""));
  }
  return text;
}

std::string report_text(const DetectionReport& report, bool per_class) {
  std::string text =
      fmt::format("mAP by Ultralytics' definition (rules of {}; boxes in the network's input):\n",
                  rules_name(report.rules)) +
      report_table(report, per_class) +
      "mAP by COCO's definition (pycocotools; boxes in the image, -1: nothing to find):\n" +
      coco_text(report.coco);
  if (report.block == SecondBlock::kMasks) text += "The same of masks:\n" + coco_text(report.coco_masks);
  if (report.block == SecondBlock::kKeypoints) {
    text += "The same of keypoints, by their similarity:\n";
    for (size_t i = 0; i < kCocoKeypointNumbers; ++i)
      text += fmt::format(" {:<10} = {:.3f}\n", coco_keypoint_number_names()[i],
                          report.coco_keypoints.numbers[i]);
  }
  return text;
}

nlohmann::ordered_json report_json(const DetectionReport& report) {
  using Json = nlohmann::ordered_json;
  const AveragePrecision& all = report.ultralytics;
  Json per_class = Json::array();
  for (const ClassPrecision& one : all.classes) {
    const auto c = static_cast<size_t>(one.class_id);
    per_class.push_back({{"class", one.class_id},
                         {"name", report.names[c]},
                         {"images", report.images_of_class[c]},
                         {"instances", one.instances},
                         {"precision", one.precision},
                         {"recall", one.recall},
                         {"f1", one.f1},
                         {"map50", one.map50()},
                         {"map75", one.map75()},
                         {"map50_95", one.map50_95()},
                         {"coco_ap50", or_null(report.coco.categories[c].ap50)},
                         {"coco_ap50_95", or_null(report.coco.categories[c].ap50_95)}});
  }
  Json object = {{"images", report.images},
                 {"instances", report.instances},
                 {"definition", "ultralytics"},
                 {"rules", rules_name(report.rules)},
                 {"precision", all.precision()},
                 {"recall", all.recall()},
                 {"map50", all.map50()},
                 {"map75", all.map75()},
                 {"map50_95", all.map50_95()},
                 {"fitness", report.fitness()},
                 {"best_confidence", all.best_confidence()},
                 {"coco", report.coco.numbers},
                 {"coco_names", coco_number_names()}};
  if (report.block != SecondBlock::kNone) {
    const AveragePrecision& second = report.second;
    const auto add = [&](const char* name, double value) {
      object[fmt::format("{}({})", name, block_letter(report.block))] = value;
    };
    add("precision", second.precision());
    add("recall", second.recall());
    add("map50", second.map50());
    add("map75", second.map75());
    add("map50_95", second.map50_95());
  }
  if (report.block == SecondBlock::kMasks) object["coco_masks"] = report.coco_masks.numbers;
  if (report.block == SecondBlock::kKeypoints) {
    object["coco_keypoints"] = report.coco_keypoints.numbers;
    object["coco_keypoint_names"] = coco_keypoint_number_names();
  }
  object["per_class"] = std::move(per_class);
  object["confusion_matrix"] = report.confusion.json();
  return object;
}

}  // namespace marrow::evaluate
