#include "marrow/serve/picture_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "marrow/base/class_numbers.h"
#include "marrow/base/error.h"
#include "marrow/base/text.h"

namespace marrow::serve {
namespace {

constexpr int kMostDetections = 1'000'000, kMostClasses = 1'000'000;

void check_names(const std::vector<Field>& query, const std::vector<std::string>& known) {
  for (const Field& field : query) {
    if (std::ranges::find(known, field.name) == known.end())
      throw HttpError(400, unknown_name_message("parameter", field.name, known));
    if (std::ranges::count(query, field.name, &Field::name) > 1)
      throw HttpError(400, "the parameter " + field.name + " is given twice");
  }
}

std::vector<int> parse_classes(const Field& field, const Network& network) {
  std::vector<std::string> wanted;
  std::string_view rest = field.value;
  while (true) {
    const size_t end = std::min(rest.find(','), rest.size());
    wanted.emplace_back(trimmed(rest.substr(0, end)));
    if (end == rest.size()) break;
    rest.remove_prefix(end + 1);
  }
  try {
    return class_numbers(wanted, network.class_names(), field.name);
  } catch (const Error& error) {
    throw HttpError(400, error.what());
  }
}

bool parse_switch(const Field& field) {
  if (const std::optional<bool> truth = parse_truth(field.value)) return *truth;
  throw HttpError(400, fmt::format("{} is '{}'; wanted true or false", field.name, printable(field.value)));
}

}  // namespace

std::string queried_model(const std::vector<Field>& query) {
  const auto found = std::ranges::find(query, "model", &Field::name);
  if (found == query.end()) return {};
  if (std::ranges::count(query, "model", &Field::name) > 1)
    throw HttpError(400, "the parameter model is given twice");
  return found->value;
}

PictureOptions parse_picture_options(const std::vector<Field>& query, const Network& network) {
  PictureOptions options;
  if (!network.is_detector()) {
    check_names(query, {"model", "top"});
    for (const Field& field : query)
      if (field.name == "top") options.top = parse_query_integer(field, 1, kMostClasses);
    return options;
  }
  std::vector<std::string> known = {"model", "conf", "iou", "max_det", "classes", "agnostic_nms"};
  if (network.has_masks()) known.emplace_back("retina_masks");
  check_names(query, known);
  detect::NmsOptions& nms = options.read.nms;
  nms.class_confidence = network.model().thresholds;
  for (const Field& field : query) {
    if (field.name == "conf") {
      nms.confidence = static_cast<float>(parse_query_number(field, 0, 1));
      nms.class_confidence.clear();
    } else if (field.name == "iou") {
      nms.iou = static_cast<float>(parse_query_number(field, 0, 1));
    } else if (field.name == "max_det") {
      nms.max_detections = parse_query_integer(field, 1, kMostDetections);
    } else if (field.name == "classes") {
      nms.classes = parse_classes(field, network);
    } else if (field.name == "agnostic_nms") {
      nms.agnostic = parse_switch(field);
    } else if (field.name == "retina_masks" && parse_switch(field)) {
      options.read.masks = predict::MaskSize::kImage;
    }
  }
  return options;
}

double parse_query_number(const Field& field, double smallest, double largest) {
  const std::string& text = field.value;
  const char* end = text.data() + text.size();
  const bool begins = !text.empty() && ((text[0] >= '0' && text[0] <= '9') || text[0] == '.');
  double value = 0;
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (!begins || error != std::errc() || stop != end || !(value >= smallest && value <= largest))
    throw HttpError(400, fmt::format("{} is '{}'; wanted a number from {} to {}", field.name,
                                     printable(text, 40), smallest, largest));
  return value;
}

int parse_query_integer(const Field& field, int smallest, int largest) {
  const std::string& text = field.value;
  const char* end = text.data() + text.size();
  int value = 0;
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (text.starts_with('-') || error != std::errc() || stop != end || value < smallest || value > largest)
    throw HttpError(400, fmt::format("{} is '{}'; wanted a whole number from {} to {}", field.name,
                                     printable(text, 40), smallest, largest));
  return value;
}

}  // namespace marrow::serve
