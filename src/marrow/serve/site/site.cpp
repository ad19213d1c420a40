#include "marrow/serve/site/site.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/text.h"
#include "marrow/data/dataset.h"
#include "marrow/detect/draw_extras.h"
#include "marrow/serve/http/compression.h"
#include "marrow/serve/http/multipart.h"
#include "marrow/serve/picture_options.h"
#include "marrow/serve/pictures.h"

namespace marrow::serve {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr size_t kMostSampleBytes = 16 << 20;
constexpr size_t kMostLabelBytes = 1 << 20;

// Of pictures that a browser shows.
std::string shown_type(const fs::path& path) {
  const std::string suffix = to_lower(path.extension().string());
  if (suffix == ".jpg" || suffix == ".jpeg") return "image/jpeg";
  return suffix == ".png" ? "image/png" : suffix == ".webp" ? "image/webp" : "";
}

// The number of a path's part; one that is too large for any list where it is none.
size_t number_of(const std::string& text) {
  size_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && stop == end ? number : SIZE_MAX;
}

[[noreturn]] void refuse_labels(const std::string& what) {
  throw HttpError(
      400,
      "labels: " + what +
          "; wanted is {\"width\", \"height\", \"boxes\": [{\"class\": number, \"box\": [x1, y1, x2, y2]}]}");
}

LabelBox read_box(const Json& entry, size_t i, std::span<const std::string> classes) {
  // Only its place is said: to write a value as deep as a client likes takes as deep a stack.
  if (!entry.is_object() || !entry.contains("class") || !entry["class"].is_number_unsigned() ||
      !entry.contains("box") || !entry["box"].is_array() || entry["box"].size() != 4)
    refuse_labels(fmt::format("boxes[{}] is no box", i));
  const auto number = entry["class"].get<uint64_t>();
  if (number >= classes.size())
    refuse_labels(fmt::format("class {}; the model has classes 0 to {}", number, classes.size() - 1));
  LabelBox box{classes[number], {}};
  for (size_t corner = 0; corner < 4; ++corner) {
    if (!entry["box"][corner].is_number()) refuse_labels("a coordinate is not a number");
    box.corners[corner] = entry["box"][corner].get<double>();
  }
  return box;
}

std::vector<LabelBox> read_boxes(const Json& labels, std::span<const std::string> classes) {
  if (!labels.is_object() || !labels.contains("boxes") || !labels["boxes"].is_array())
    refuse_labels("there are no boxes");
  if (labels["boxes"].size() > Site::kMostLabelBoxes)
    refuse_labels(fmt::format("{} boxes; at most {}", labels["boxes"].size(), Site::kMostLabelBoxes));
  std::vector<LabelBox> boxes;
  for (size_t i = 0; i < labels["boxes"].size(); ++i)
    boxes.push_back(read_box(labels["boxes"][i], i, classes));
  return boxes;
}

// The boxes were drawn on the picture as the browser shows it: of the same size, or something turned it.
void check_size(const Json& labels, Size size) {
  for (const auto& [key, value] : {std::pair("width", size.width), {"height", size.height}})
    if (!labels.contains(key) || labels[key] != Json(value))
      refuse_labels(fmt::format("the picture's {} is {}", key, value));
}

// The pairs of keypoints that are joined by a line.
Json limbs_of(const Network& network) {
  Json limbs = Json::array();
  const int numbers = network.is_detector() ? numbers_of_point(network.decode().extra) : 1;
  if (numbers == 1) return limbs;
  for (const auto& [from, to] :
       detect::limbs_of(static_cast<size_t>(network.decode().extra_channels / numbers)))
    limbs.push_back({from, to});
  return limbs;
}

}  // namespace

Site::Site(const Models& models, const SiteOptions& options, int64_t most_pixels)
    : models_(models), most_pixels_(most_pixels) {
  if (!options.samples.empty()) {
    samples_ =
        data::list_files(options.samples, [](const fs::path& path) { return !shown_type(path).empty(); });
    samples_.resize(std::min(samples_.size(), kMostSamples));
  }
  if (!options.runs.empty()) runs_ = std::make_unique<RunIndex>(options.runs);
  if (!options.labels.empty()) labels_ = std::make_unique<LabelFolder>(options.labels);
}

Response Site::answer(const Route& route) const {
  switch (route.id) {
    case RouteId::kPageModels:
      return {200, kJson, models_text()};
    case RouteId::kSample:
      return sample(route.items.at(0));
    default:
      break;
  }
  if (runs_ == nullptr) throw HttpError(404, "this server shows no training runs; --runs names their folder");
  if (route.id == RouteId::kRuns) return {200, kJson, runs_->list()};
  const size_t id = number_of(route.items.at(0));
  if (route.id == RouteId::kRun) return {200, kJson, runs_->run(id)};
  return runs_->picture(id, route.items.at(1));
}

std::string Site::models_text() const {
  Json models = Json::array();
  for (const ModelState& state : models_.states()) {
    if (state.network == nullptr) continue;
    models.push_back({{"name", state.name},
                      {"task", state.network->model().task},
                      {"classes", state.network->class_names()},
                      {"limbs", limbs_of(*state.network)}});
  }
  const Json text = {{"models", models},
                     {"samples", samples_.size()},
                     {"runs", runs_ != nullptr},
                     {"labels", labels_ != nullptr}};
  return text.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Response Site::sample(const std::string& number) const {
  const size_t at = number_of(number);
  if (at >= samples_.size()) throw HttpError(404, "there is no such sample");
  try {
    return {200, shown_type(samples_[at]), read_file(samples_[at], kMostSampleBytes)};
  } catch (const Error&) {
    throw HttpError(404, "the sample is gone or cannot be read");
  }
}

Response Site::save_labels(const Exchange& exchange) const {
  if (labels_ == nullptr)
    throw HttpError(403,
                    "this server saves no labels; --labels names the folder of the dataset that they join");
  if (content_coding(exchange.head) != Coding::kIdentity) throw HttpError(415, "labels come uncompressed");
  const std::shared_ptr<Network> network = models_.find(queried_model(exchange.target.query));
  // A dataset of the other tasks would be refused for a row that is only a box.
  if (network->model().task != "detect")
    throw HttpError(400, fmt::format("{} is a model for '{}'; boxes alone are corrected", network->name(),
                                     network->model().task));
  const std::string* type = exchange.head.find("content-type");
  const std::string boundary = type == nullptr ? "" : multipart_boundary(*type);
  if (boundary.empty())
    throw HttpError(400, "labels come as multipart/form-data with the fields 'image' and 'labels'");
  std::string_view picture, text;
  for (const Part& part : parse_multipart(exchange.body, boundary)) {
    if (part.name == "image") picture = part.content;
    if (part.name == "labels") text = part.content;
  }
  if (picture.empty()) throw HttpError(400, "the form has no picture in its field 'image'");
  if (text.size() > kMostLabelBytes)
    refuse_labels(fmt::format("{} bytes; at most {}", text.size(), kMostLabelBytes));
  const Json labels = Json::parse(text, nullptr, false);
  try {
    const std::vector<LabelBox> boxes = read_boxes(labels, network->class_names());
    const image::Image decoded = decode_picture({"the picture", "", picture}, *network, most_pixels_).image;
    const Size size = {decoded.width(), decoded.height()};
    check_size(labels, size);
    const std::string_view suffix = image::usual_suffix(std::as_bytes(std::span(picture)), "the picture");
    const SavedLabels saved = labels_->save(picture, suffix, size, boxes, network->class_names());
    return {200, kJson,
            Json({{"image", saved.image}, {"label", saved.label}})
                .dump(-1, ' ', false, Json::error_handler_t::replace)};
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kFile) throw HttpError(500, "the labels could not be written");
    throw HttpError(400, error.what());
  }
}

}  // namespace marrow::serve
