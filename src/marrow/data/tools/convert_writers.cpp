#include "marrow/data/tools/convert_writers.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "marrow/base/files.h"
#include "marrow/data/outline_parts.h"
#include "marrow/data/tools/write_plainly.h"

namespace marrow::data {
namespace {

// As a JSON string; bytes that are not UTF-8 become U+FFFD.
std::string json_text(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

class CocoText {
 public:
  explicit CocoText(const Skeleton& skeleton) : skeleton_(skeleton) {}

  std::string write(const std::vector<std::string>& names, const std::vector<NamedImage>& pictures) {
    text_ = "{\n\"info\": {\"description\": \"Written by marrow data convert\"},\n\"images\": [";
    for (size_t i = 0; i < pictures.size(); ++i)
      next(i == 0,
           fmt::format("{{\"id\": {}, \"file_name\": {}, \"width\": {}, \"height\": {}}}", i + 1,
                       json_text(pictures[i].name), pictures[i].image.width, pictures[i].image.height));
    text_ += "\n],\n\"annotations\": [";
    for (size_t i = 0; i < pictures.size(); ++i) objects_of(pictures[i].image, i + 1);
    text_ += "\n],\n\"categories\": [";
    for (size_t i = 0; i < names.size(); ++i)
      next(i == 0,
           fmt::format("{{\"id\": {}, \"name\": {}{}}}", i + 1, json_text(names[i]), keypoint_names(i)));
    text_ += "\n]\n}\n";
    return std::move(text_);
  }

 private:
  void next(bool first, const std::string& entry) {
    text_ += first ? "\n" : ",\n";
    text_ += entry;
  }

  static std::string outline_text(const std::vector<std::span<const Point<Normalised, double>>>& parts,
                                  const LabelledImage& image) {
    std::string text;
    for (const auto& part : parts) {
      std::string polygon;
      for (const auto& point : part)
        polygon += fmt::format("{}{}, {}", polygon.empty() ? "" : ", ", pixel_text(point.x * image.width),
                               pixel_text(point.y * image.height));
      text += fmt::format("{}[{}]", text.empty() ? "" : ", ", polygon);
    }
    return text;
  }

  void objects_of(const LabelledImage& image, size_t image_id) {
    for (size_t i = 0; i < image.labels.size(); ++i) {
      const std::string outline = image.polygons.empty() ? "" : outline_text(parts_of(image, i), image);
      add(image.labels[i], image, image_id, outline, "", keypoints_of(image, i));
    }
    for (const IgnoredLabel& ignored : image.ignored) {
      const bool crowd = ignored.reason != IgnoredLabel::Reason::kDifficult;
      const std::string outline =
          ignored.polygon.empty() ? "" : outline_text(parts_of(ignored.polygon, ignored.parts), image);
      add(ignored.label, image, image_id, outline, crowd ? "crowd" : "difficult", "");
    }
  }

  void add(const Label& label, const LabelledImage& image, size_t image_id, const std::string& polygon,
           std::string_view flag, const std::string& keypoints) {
    const SizedBox<ImagePixels, double> box = pixel_box(label, image);
    const size_t id = ++count_;
    next(id == 1,
         fmt::format(
             "{{\"id\": {}, \"image_id\": {}, \"category_id\": {}, \"bbox\": [{}, {}, {}, {}], \"area\": {}, "
             "\"iscrowd\": {}, {}{}\"segmentation\": [{}]}}",
             id, image_id, label.class_id + 1, pixel_text(box.x), pixel_text(box.y), pixel_text(box.width),
             pixel_text(box.height), pixel_text(box.area()), flag == "crowd" ? 1 : 0,
             flag == "difficult" ? "\"ignore\": 1, " : "", keypoints, polygon));
  }

  // "\"keypoints\": [...], ", or nothing.
  std::string keypoints_of(const LabelledImage& image, size_t label) const {
    const auto each = static_cast<size_t>(skeleton_.shape.count);
    if (each == 0 || image.keypoints.empty()) return {};
    std::string points;
    int labelled = 0;
    for (size_t k = label * each; k < (label + 1) * each; ++k) {
      const LabelKeypoint& point = image.keypoints[k];
      points += fmt::format("{}{}, {}, {}", points.empty() ? "" : ", ", pixel_text(point.x * image.width),
                            pixel_text(point.y * image.height), point.visibility);
      labelled += point.visibility > 0;
    }
    return fmt::format("\"keypoints\": [{}], \"num_keypoints\": {}, ", points, labelled);
  }

  std::string keypoint_names(size_t class_number) const {
    if (skeleton_.shape.count == 0) return {};
    std::string names;
    for (size_t k = 0; k < static_cast<size_t>(skeleton_.shape.count); ++k) {
      const bool has_names = class_number < skeleton_.names.size() && !skeleton_.names[class_number].empty();
      names += fmt::format("{}{}", k == 0 ? "" : ", ",
                           json_text(has_names ? skeleton_.names[class_number][k] : fmt::format("{}", k)));
    }
    return fmt::format(", \"keypoints\": [{}], \"skeleton\": []", names);
  }

  const Skeleton& skeleton_;
  std::string text_;
  size_t count_ = 0;
};

std::string xml_text(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '&')
      result += "&amp;";
    else if (c == '<')
      result += "&lt;";
    else if (c == '>')
      result += "&gt;";
    else
      result += c;
  }
  return result;
}

std::string voc_object(const Label& label, bool difficult, const LabelledImage& image,
                       const std::vector<std::string>& names) {
  const SizedBox<ImagePixels, double> box = pixel_box(label, image);
  return fmt::format(
      "\t<object>\n\t\t<name>{}</name>\n\t\t<pose>Unspecified</pose>\n\t\t<truncated>0</truncated>\n"
      "\t\t<difficult>{}</difficult>\n\t\t<bndbox>\n\t\t\t<xmin>{}</xmin>\n\t\t\t<ymin>{}</ymin>\n"
      "\t\t\t<xmax>{}</xmax>\n\t\t\t<ymax>{}</ymax>\n\t\t</bndbox>\n\t</object>\n",
      xml_text(names[static_cast<size_t>(label.class_id)]), difficult ? 1 : 0, pixel_text(box.x),
      pixel_text(box.y), pixel_text(box.x + box.width), pixel_text(box.y + box.height));
}

std::string voc_text(const NamedImage& picture, const std::vector<std::string>& names) {
  std::string text = fmt::format(
      "<annotation>\n\t<folder>JPEGImages</folder>\n\t<filename>{}</filename>\n\t<size>\n\t\t<width>{}</"
      "width>\n"
      "\t\t<height>{}</height>\n\t\t<depth>3</depth>\n\t</size>\n\t<segmented>0</segmented>\n",
      xml_text(picture.name), picture.image.width, picture.image.height);
  for (const Label& label : picture.image.labels) text += voc_object(label, false, picture.image, names);
  // Other regions to ignore are not to be counted as missed either, which is what difficult means.
  for (const IgnoredLabel& ignored : picture.image.ignored)
    text += voc_object(ignored.label, true, picture.image, names);
  return text + "</annotation>\n";
}

}  // namespace

std::string pixel_text(double value) {
  return fmt::format("{}", exact_pixels(value, 1));
}

void write_coco(const std::filesystem::path& file, const std::vector<std::string>& names,
                const std::vector<NamedImage>& pictures, const Skeleton& skeleton) {
  write_file_atomically(file, CocoText(skeleton).write(names, pictures));
}

void write_voc(const std::filesystem::path& out, const std::string& split,
               const std::vector<std::string>& names, const std::vector<NamedImage>& pictures) {
  std::string list;
  for (const NamedImage& picture : pictures) {
    const std::string stem = std::filesystem::path(picture.name).stem().string();
    write_plainly(out / "Annotations" / (stem + ".xml"), voc_text(picture, names));
    list += stem + "\n";
  }
  write_plainly(out / "ImageSets/Main" / (split + ".txt"), list);
}

}  // namespace marrow::data
