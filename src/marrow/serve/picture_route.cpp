#include "marrow/serve/picture_route.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "marrow/base/text.h"
#include "marrow/detect/draw.h"
#include "marrow/detect/results.h"
#include "marrow/image/convert.h"
#include "marrow/image/encode.h"
#include "marrow/predict/classifier.h"
#include "marrow/serve/http/multipart.h"
#include "marrow/serve/picture_options.h"
#include "marrow/serve/pictures.h"

namespace marrow::serve {
namespace {

constexpr size_t kLongestFileName = 200;  // bytes of one that are said again

std::string boundary_of(const Exchange& exchange) {
  const std::string* type = exchange.head.find("content-type");
  return type == nullptr ? std::string() : multipart_boundary(*type);
}

std::vector<EncodedPicture> pictures_of(const Exchange& exchange, bool batch, size_t most) {
  const std::string boundary = boundary_of(exchange);
  if (boundary.empty()) {
    if (batch)
      throw HttpError(
          400, "a batch is multipart/form-data with a file for each picture, in fields 'image' or 'file'");
    return {{"the picture", "", exchange.body}};
  }
  std::vector<EncodedPicture> pictures;
  for (const Part& part : parse_multipart(exchange.body, boundary))
    if (part.name == "image" || part.name == "file")
      pictures.push_back({batch ? fmt::format("picture {}", pictures.size()) : std::string("the picture"),
                          printable(part.file, kLongestFileName), part.content});
  if (pictures.empty()) throw HttpError(400, "the form has no file in a field 'image' or 'file'");
  if (!batch && pictures.size() > 1)
    throw HttpError(
        400, fmt::format("the form has {} pictures; this route takes one, and that with /batch behind it "
                         "takes several",
                         pictures.size()));
  if (pictures.size() > most)
    throw HttpError(400, fmt::format("{} pictures; at most {} at once", pictures.size(), most));
  return pictures;
}

// Whether the client would rather have a drawn picture than JSON.
bool wants_drawing(const Head& head) {
  const std::string* accept = head.find("accept");
  if (accept == nullptr) return false;
  return quality_of(*accept, "image/jpeg") > quality_of(*accept, kJson);
}

// Pictures of one call that are in the engine.
struct Seen {
  std::vector<EncodedPicture> encoded;
  std::vector<Prepared> prepared;     // without their inputs
  std::vector<std::string> warnings;  // of each, "" where it is whole
  PictureOptions options;
};

using OrderedJson = nlohmann::ordered_json;

// What a line says of a damaged picture beside what was found in the rest of it.
OrderedJson warnings_of(const std::string& warning) {
  return warning.empty() ? OrderedJson::object() : OrderedJson({{"warnings", OrderedJson::array({warning})}});
}

std::string classification_line(const EncodedPicture& picture, const Prepared& prepared,
                                const std::string& warning, const Tensor& probabilities,
                                const PictureOptions& options, const Network& network) {
  OrderedJson top = OrderedJson::array();
  for (const predict::ClassProbability& each :
       predict::likeliest_classes(probabilities.values(), options.top))
    top.push_back({{"class", each.class_id},
                   {"name", detect::class_name(network.class_names(), each.class_id)},
                   {"probability", each.probability}});
  OrderedJson line = {
      {"image", picture.file}, {"width", prepared.picture.width}, {"height", prepared.picture.height}};
  line.update(warnings_of(warning));
  line["top"] = std::move(top);
  return line.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

// What was found in picture `i`, whose outputs are taken from the front of `outputs`.
predict::ImageFindings take_findings(const Seen& seen, size_t i, std::span<Outputs>& outputs,
                                     const Network& network) {
  const Prepared& prepared = seen.prepared[i];
  const std::span<Outputs> own = outputs.first(prepared.tiles.size());
  outputs = outputs.subspan(own.size());
  return network.findings(prepared, own, seen.options.read);
}

// Decoded once more: to keep the pixels of everything that waits would take a lot of memory.
Response drawing(const Seen& seen, std::span<Outputs> outputs, Call& call) {
  const predict::ImageFindings found = take_findings(seen, 0, outputs, call.network());
  image::Image picture = image::displayed(
      decode_picture(seen.encoded.front(), call.network(), call.limits().infer.pixels).image);
  detect::draw_detections(picture, found.detections, call.network().class_names(), found.extras);
  return {200, "image/jpeg", image::encode_jpeg(picture.pixels())};
}

std::string line_of(const Seen& seen, size_t i, std::span<Outputs>& outputs, const Network& network) {
  if (network.is_detector()) {
    const predict::ImageFindings found = take_findings(seen, i, outputs, network);
    return detect::json_line(seen.encoded[i].file, seen.prepared[i].picture, found.detections,
                             network.class_names(), found.extras, warnings_of(seen.warnings[i]));
  }
  const Tensor& probabilities = outputs.front().front();
  outputs = outputs.subspan(1);
  return classification_line(seen.encoded[i], seen.prepared[i], seen.warnings[i], probabilities, seen.options,
                             network);
}

Response lines(const Seen& seen, std::span<Outputs> outputs, bool batch, const Network& network) {
  std::string body;
  for (size_t i = 0; i < seen.encoded.size(); ++i)
    body += (i == 0 ? "" : ",") + line_of(seen, i, outputs, network);
  return {200, kJson, batch ? "{\"results\":[" + body + "]}" : body};
}

}  // namespace

void answer_pictures(const std::shared_ptr<Call>& call, bool batch, BatchQueue& queue, Workers& workers) {
  call->unpack_body();
  const Stopwatch clock;
  const Network& network = call->network();
  const auto seen = std::make_shared<Seen>();
  seen->options = parse_picture_options(call->exchange().target.query, network);
  seen->encoded = pictures_of(call->exchange(), batch, call->limits().infer.batch);
  call->admit(seen->encoded.size());
  std::vector<Tensor> inputs;
  for (const EncodedPicture& picture : seen->encoded) {
    image::DecodedImage decoded = decode_picture(picture, network, call->limits().infer.pixels);
    Prepared prepared = network.prepare(decoded.image);
    seen->warnings.push_back(std::move(decoded.warning));
    inputs.insert(inputs.end(), std::make_move_iterator(prepared.inputs.begin()),
                  std::make_move_iterator(prepared.inputs.end()));
    prepared.inputs.clear();
    seen->prepared.push_back(std::move(prepared));
    call->admit(std::max(inputs.size(), seen->encoded.size()));
  }
  call->decoded(clock.seconds());
  const bool draws = !batch && network.is_detector() && wants_drawing(call->exchange().head);
  seen->options.read.outlines = !draws;
  seen->options.read.most_mask_bytes = call->limits().infer.mask_bytes;
  call->run(
      std::move(inputs), queue, workers,
      [call = call.get(), seen, batch, draws](std::vector<Outputs>& outputs) {
        call->answer(draws ? drawing(*seen, outputs, *call) : lines(*seen, outputs, batch, call->network()));
      });
}

}  // namespace marrow::serve
