#include "marrow/serve/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "marrow/base/error.h"
#include "marrow/base/talk.h"
#include "marrow/image/network_input.h"
#include "marrow/model/import.h"
#include "marrow/predict/input_size.h"
#include "marrow/predict/join_tiles.h"
#include "marrow/predict/read_prediction.h"
#include "marrow/predict/readable.h"

namespace marrow::serve {
namespace {

// Compiled forms that are kept: of each shape that pictures take, for each number of them at once.
constexpr size_t kKeptShapes = 16;
// YOLO's own preprocessing never goes below a multiple of 32.
constexpr int kLeastMultiple = 32;

int rounded_up(int side, int multiple) {
  return (side + multiple - 1) / multiple * multiple;
}

Size chosen_size(const std::string& file, const model::Model& model, const std::vector<int>& imgsz,
                 int stride) {
  if (imgsz.empty()) return predict::default_input_size(model);
  const Size wanted = {rounded_up(imgsz.back(), stride), rounded_up(imgsz.front(), stride)};
  if ((model.fixed_width > 0 && model.fixed_width != wanted.width) ||
      (model.fixed_height > 0 && model.fixed_height != wanted.height))
    throw Error(ErrorKind::kUsage,
                fmt::format("--imgsz {}x{}: the network in {} is fixed at {}x{} (height x width)",
                            wanted.height, wanted.width, file, model.fixed_height, model.fixed_width));
  return wanted;
}

}  // namespace

std::shared_ptr<Network> Network::load(const std::string& name, const std::string& file,
                                       const NetworkOptions& options) {
  model::TrainedModel trained = model::load_trained(file);
  for (const std::string& warning : trained.model.warnings) talk("marrow: " + warning);
  const std::string& task = trained.model.task;
  if (task != "detect" && task != "classify")
    throw Error(ErrorKind::kUnsupported,
                fmt::format("{}: a model for '{}'; serve knows detection and classification", file, task));
  const std::shared_ptr<Network> network(new Network(name, file, std::move(trained), options));
  const Size size = network->size();
  const Tensor input({1, network->channels(), size.height, size.width});
  for (size_t pictures = 1; pictures <= network->most_at_once(input.shape()); pictures *= 2) {
    std::vector<Tensor> outputs(pictures);
    std::vector<Tensor*> places;
    for (Tensor& output : outputs) places.push_back(&output);
    network->run(std::vector<const Tensor*>(pictures, &input), places);
  }
  return network;
}

Network::Network(std::string name, std::string file, model::TrainedModel trained,
                 const NetworkOptions& options)
    : name_(std::move(name)), file_(std::move(file)), trained_(std::move(trained)), options_(options) {
  const model::Model& model = trained_.model;
  reading_ = image_reading(model.graph);
  if (is_detector()) {
    format_ = input_format(model.graph);
    decode_ = predict::detection_output(model.graph, true);
    output_ = decode_.name;
    stride_ = std::max(*std::ranges::max_element(decode_.decode->strides), kLeastMultiple);
    size_ = chosen_size(file_, model, options.imgsz, stride_);
    fixed_ = model.fixed_height > 0 || model.fixed_width > 0;
    options_.rect = options.rect && !fixed_;
  } else {
    const Size size = chosen_size(file_, model, options.imgsz, 1);
    if (size.width != size.height)
      throw Error(ErrorKind::kUsage, file_ + ": a classifier's input is square; --imgsz is one number");
    format_ = classifier_format(input_format(model.graph), size.width);
    output_ = "logits";
    size_ = {format_.crop, format_.crop};
    fixed_ = true;
  }
  network_ = std::make_unique<predict::CompiledNetwork>(
      passes::GraphWithWeights{model.graph, trained_.weights}, std::vector<std::string>{output_},
      options_.engine, kKeptShapes);
}

Shape Network::output_shape(int64_t height, int64_t width) const {
  const int64_t classes = static_cast<int64_t>(class_names().size());
  if (!is_detector()) return {classes};
  int64_t anchors = 0;
  for (const int stride : decode_.decode->strides) anchors += (height / stride) * (width / stride);
  return {4 + decode_.decode->classes, anchors};
}

Letterbox Network::fit(Size picture, bool rect) const {
  LetterboxOptions letterbox;
  letterbox.minimum_rectangle = rect;
  letterbox.stride = stride_;
  return letterbox_geometry(picture, size_, letterbox);
}

Tensor Network::letterboxed(const image::Image& image, bool rect) const {
  const Letterbox geometry = fit({image.width(), image.height()}, rect);
  Tensor input({1, channels(), geometry.out.height, geometry.out.width});
  image::fill_letterboxed(image, geometry, format_, input.values().data());
  return input;
}

Tensor Network::fitted(const image::Image& image) const {
  predict::require_readable(image, trained_.model.graph);
  if (is_detector()) return letterboxed(image, false);
  const image::Image cut = image::resize_for_classifier(image, format_.resize, format_.crop,
                                                        image::resize_filter(format_.interpolation));
  Tensor input({1, channels(), format_.crop, format_.crop});
  image::fill_network_input(cut.pixels(), format_, input.values().data());
  return input;
}

Prepared Network::prepare(const image::Image& image) const {
  Prepared prepared{.picture = {image.width(), image.height()}};
  if (!is_detector()) {
    prepared.inputs.push_back(fitted(image));
    return prepared;
  }
  predict::require_readable(image, trained_.model.graph);
  prepared.tiles = tiles_of(prepared.picture, trained_.model.tiles);
  if (prepared.tiles.size() == 1) {
    prepared.inputs.push_back(letterboxed(image, options_.rect));
    return prepared;
  }
  for (const Tile& tile : prepared.tiles)
    prepared.inputs.push_back(letterboxed(
        image::copy_image(image.region(tile.x, tile.y, tile.size.width, tile.size.height)), options_.rect));
  return prepared;
}

std::vector<detect::Detection> Network::detections(const Prepared& prepared,
                                                   const std::vector<Tensor>& outputs,
                                                   detect::NmsOptions options) const {
  options.suppress = decode_.suppress;
  std::vector<predict::TileDetection> found;
  for (size_t i = 0; i < prepared.tiles.size(); ++i) {
    const Size size = prepared.tiles[i].size;
    const Size network = fit(size, options_.rect).out;
    const predict::ImagePrediction read = {.decode = *decode_.decode,
                                           .prediction = outputs[i].values().data(),
                                           .anchors = outputs[i].dim(2),
                                           .prototypes = {},
                                           .network = network,
                                           .picture = size,
                                           .ratio_pad = assumed_ratio_pad(network, size)};
    std::vector<detect::Detection> part = predict::read_prediction(read, {.nms = options}).detections;
    if (prepared.tiles.size() == 1) return part;
    for (const detect::Detection& one : part)
      found.push_back(predict::moved_from_tile(one, prepared.tiles[i], i));
  }
  return predict::join_tiles(std::move(found), prepared.tiles, prepared.picture, options);
}

size_t Network::most_at_once(const Shape& input) const {
  const int64_t own = static_cast<int64_t>(size_.height) * size_.width, found = input[2] * input[3];
  const int64_t fitting = static_cast<int64_t>(options_.max_batch) * own / std::max(own, found);
  return std::bit_floor(static_cast<size_t>(std::max<int64_t>(fitting, 1)));
}

void Network::run(const std::vector<const Tensor*>& inputs, const std::vector<Tensor*>& outputs) {
  Shape shape = inputs.front()->shape();
  shape.front() = static_cast<int64_t>(inputs.size());
  predict::CompiledNetwork::Compiled& compiled = network_->at(shape);
  std::byte* to = compiled.input.bytes();
  for (const Tensor* input : inputs) {
    std::memcpy(to, input->bytes(), input->byte_size());
    to += input->byte_size();
  }
  const Tensor& result = compiled.run();
  Shape one = result.shape();
  one.front() = 1;
  const std::byte* from = result.bytes();
  for (Tensor* output : outputs) {
    *output = Tensor(one);
    std::memcpy(output->bytes(), from, output->byte_size());
    from += output->byte_size();
  }
}

}  // namespace marrow::serve
