// A report as text and as JSON.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "marrow/evaluate/metrics/detection_validator.h"

namespace marrow::evaluate {
namespace {

std::string line(std::string_view name, int64_t images, int64_t instances, double precision, double recall,
                 double map50, double map50_95) {
  return fmt::format("{:>22}{:>11}{:>11}{:>11.3g}{:>11.3g}{:>11.3g}{:>11.3g}\n", name, images, instances,
                     precision, recall, map50, map50_95);
}

nlohmann::ordered_json or_null(const std::optional<double>& value) {
  return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
}

}  // namespace

std::string report_table(const DetectionReport& report, bool per_class) {
  const AveragePrecision& all = report.ultralytics;
  std::string text = fmt::format("{:>22}{:>11}{:>11}{:>11}{:>11}{:>11}{:>11}\n", "Class", "Images",
                                 "Instances", "Box(P", "R", "mAP50", "mAP50-95)");
  text += line("all", report.images, report.instances, all.precision(), all.recall(), all.map50(),
               all.map50_95());
  if (!per_class || report.names.size() < 2) return text;
  for (const ClassPrecision& one : all.classes) {
    const auto c = static_cast<size_t>(one.class_id);
    text += line(report.names[c], report.images_of_class[c], one.instances, one.precision, one.recall,
                 one.map50(), one.map50_95());
  }
  return text;
}

std::string report_text(const DetectionReport& report, bool per_class) {
  return fmt::format("mAP by Ultralytics' definition (rules of {}; boxes in the network's input):\n",
                     rules_name(report.rules)) +
         report_table(report, per_class) +
         "mAP by COCO's definition (pycocotools; boxes in the image, -1: nothing to find):\n" +
         coco_text(report.coco);
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
  return {{"images", report.images},
          {"instances", report.instances},
          {"definition", "ultralytics"},
          {"rules", rules_name(report.rules)},
          {"precision", all.precision()},
          {"recall", all.recall()},
          {"map50", all.map50()},
          {"map75", all.map75()},
          {"map50_95", all.map50_95()},
          {"fitness", all.fitness()},
          {"best_confidence", all.best_confidence()},
          {"coco", report.coco.numbers},
          {"coco_names", coco_number_names()},
          {"per_class", std::move(per_class)},
          {"confusion_matrix", report.confusion.json()}};
}

}  // namespace marrow::evaluate
