#include "marrow/data/formats/voc_format.h"

#include <fmt/format.h>
#include <tinyxml2.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "marrow/base/text.h"
#include "marrow/data/pixel_labels.h"

namespace marrow::data {
namespace {

using Kind = Problem::Kind;
using Severity = Problem::Severity;

// The text of a child, without blanks around it.
std::string_view text_of(const tinyxml2::XMLElement& parent, const char* child) {
  const tinyxml2::XMLElement* element = parent.FirstChildElement(child);
  if (element == nullptr || element->GetText() == nullptr) return {};
  return trimmed(element->GetText());
}

std::optional<double> number_of(const tinyxml2::XMLElement& parent, const char* child) {
  const std::string_view text = text_of(parent, child);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || !std::isfinite(value))
    return std::nullopt;
  return value;
}

class Reader {
 public:
  explicit Reader(const std::string& file) : file_(file) {}

  VocFile read(std::string_view text) {
    read_document(text);
    voc_.usable = problems_.errors() == 0;
    if (!voc_.usable) voc_.objects.clear();
    voc_.problems = problems_.take(file_);
    return std::move(voc_);
  }

 private:
  void error(int line, const std::string& message) {
    problems_.add(Severity::kError, Kind::kLabelSyntax, line > 0 ? fmt::format("{}:{}", file_, line) : file_,
                  message);
  }

  void read_document(std::string_view text) {
    tinyxml2::XMLDocument document;
    if (document.Parse(text.data(), text.size()) != tinyxml2::XML_SUCCESS)
      return error(document.ErrorLineNum(), fmt::format("not valid XML ({})", document.ErrorName()));
    const tinyxml2::XMLElement* root = document.RootElement();
    if (root == nullptr || std::string_view(root->Name()) != "annotation")
      return error(root != nullptr ? root->GetLineNum() : 0, "not VOC's: no <annotation>");
    voc_.file_name = text_of(*root, "filename");
    if (const tinyxml2::XMLElement* size = root->FirstChildElement("size")) {
      voc_.width = number_of(*size, "width").value_or(0);
      voc_.height = number_of(*size, "height").value_or(0);
    }
    for (const tinyxml2::XMLElement* object = root->FirstChildElement("object"); object != nullptr;
         object = object->NextSiblingElement("object"))
      read_object(*object);
  }

  void read_object(const tinyxml2::XMLElement& element) {
    VocObject object;
    object.line = element.GetLineNum();
    object.name = text_of(element, "name");
    if (object.name.empty()) return error(object.line, "an object without <name>");
    object.difficult = number_of(element, "difficult").value_or(0) != 0;
    const tinyxml2::XMLElement* box = element.FirstChildElement("bndbox");
    if (box == nullptr)
      return error(object.line, fmt::format("object '{}' without <bndbox>", printable(object.name, 40)));
    const std::pair<const char*, double*> sides[] = {{"xmin", &object.box.x1},
                                                     {"ymin", &object.box.y1},
                                                     {"xmax", &object.box.x2},
                                                     {"ymax", &object.box.y2}};
    for (const auto& [side, value] : sides) {
      const std::optional<double> number = number_of(*box, side);
      if (!number)
        return error(box->GetLineNum(),
                     fmt::format("<{}> '{}' is not a number", side, printable(text_of(*box, side), 40)));
      *value = *number;
    }
    voc_.objects.push_back(std::move(object));
  }

  const std::string& file_;
  VocFile voc_;
  ProblemList problems_;
};

}  // namespace

VocFile parse_voc(std::string_view text, const std::string& file) {
  return Reader(file).read(text);
}

ParsedLabels voc_labels(const VocFile& voc, const ClassIndex& classes, int width, int height,
                        const std::string& file) {
  if (!voc.usable) return {.usable = false, .problems = voc.problems};
  PixelLabels labels(voc.width, voc.height, width, height);
  labels.check_size({file});
  int unknown = 0;
  for (const VocObject& object : voc.objects) {
    const LabelOrigin origin = {fmt::format("{}:{}", file, object.line)};
    const int class_id = is_ignore_name(object.name) ? kIgnoreClass : classes.find(object.name);
    if (class_id == -1) {
      labels.set_unusable();
      if (++unknown > kProblemsPerFile) continue;  // each message looks for the nearest name
      labels.problem(Severity::kError, Kind::kUnknownClass, origin,
                     unknown_name_message("class", object.name, classes.names()));
      continue;
    }
    labels.add({class_id, object.box, false, object.difficult}, origin);
  }
  return labels.take(file);
}

}  // namespace marrow::data
