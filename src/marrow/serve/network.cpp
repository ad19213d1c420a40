#include "marrow/serve/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <bit>

#include "marrow/base/error.h"
#include "marrow/base/stopwatch.h"
#include "marrow/base/talk.h"
#include "marrow/cpu/thread_pool.h"
#include "marrow/image/network_input.h"
#include "marrow/model/import.h"
#include "marrow/predict/classifier.h"
#include "marrow/predict/input_size.h"
#include "marrow/predict/join_tiles.h"
#include "marrow/predict/readable.h"

namespace marrow::serve {
namespace {

// Compiled forms that are kept: of each shape that pictures take, for each number of them at once.
constexpr size_t kKeptShapes = 16;
// How many inputs' memory is kept for later ones and for outputs.
constexpr size_t kKeptInputs = 16;
// Shapes whose times are remembered.
constexpr size_t kMeasuredShapes = 64;

}  // namespace

std::shared_ptr<Network> Network::load(const std::string& name, const std::string& file,
                                       const NetworkOptions& options) {
  model::TrainedModel trained = model::load_trained(file);
  for (const std::string& warning : trained.model.warnings) talk("marrow: " + warning);
  const std::shared_ptr<Network> network(new Network(name, file, std::move(trained), options));
  const Size size = network->size();
  const Tensor input({1, network->channels(), size.height, size.width});
  for (size_t at_once = 1; at_once <= network->most_at_once(input.shape()); at_once *= 2)
    network->run(input.shape(), at_once, [&](const RunOne& run_one) {
      Outputs outputs;
      run_one(input, outputs);
    });
  return network;
}

Network::Network(std::string name, std::string file, model::TrainedModel trained,
                 const NetworkOptions& options)
    : name_(std::move(name)),
      file_(std::move(file)),
      trained_(std::move(trained)),
      options_(options),
      threads_(static_cast<size_t>(cpu::thread_count(options.engine.threads))),
      side_by_side_(threads_) {
  reading_ = image_reading(trained_.model.graph);
  if (is_detector())
    prepare_detector();
  else
    prepare_classifier();
  const size_t input_bytes = static_cast<size_t>(channels()) * static_cast<size_t>(size_.width) *
                             static_cast<size_t>(size_.height) * sizeof(float);
  pool_ = std::make_unique<TensorPool>(kKeptInputs * input_bytes);
}

void Network::prepare_detector() {
  const model::Model& model = trained_.model;
  format_ = input_format(model.graph);
  decode_ = predict::detection_output(model.graph, true);
  predict::require_joinable(decode(), model.tiles);
  const std::vector<std::string> outputs = predict::detection_outputs(model.graph, true);
  for (size_t i = 0; i < outputs.size(); ++i) output_names_.push_back(fmt::format("output{}", i));
  if (outputs.size() > 1) prototype_stride_ = model.graph.node(model.graph.find(kPrototypesOutput)).stride;
  stride_ = predict::input_multiple(decode());
  const Size size = predict::input_size(file_, model, options_.imgsz);
  size_ = {predict::rounded_up(size.width, stride_), predict::rounded_up(size.height, stride_)};
  fixed_ = model.fixed_height > 0 || model.fixed_width > 0;
  options_.rect = options_.rect && !fixed_;
  network_ = std::make_unique<predict::CompiledNetwork>(
      passes::GraphWithWeights{model.graph, trained_.weights}, outputs, options_.engine, kKeptShapes);
}

void Network::prepare_classifier() {
  const model::Model& model = trained_.model;
  const Size size = predict::input_size(file_, model, options_.imgsz);
  if (size.width != size.height)
    throw Error(ErrorKind::kUsage, file_ + ": a classifier's input is square; --imgsz is one number");
  format_ = classifier_format(input_format(model.graph), size.width);
  output_names_ = {"probabilities"};
  size_ = {format_.crop, format_.crop};
  fixed_ = true;
  network_ = std::make_unique<predict::CompiledNetwork>(
      passes::GraphWithWeights{model.graph, trained_.weights}, std::vector<std::string>{"logits"},
      options_.engine, kKeptShapes);
}

std::vector<Shape> Network::output_shapes(int64_t height, int64_t width) const {
  if (!is_detector()) return {{static_cast<int64_t>(class_names().size())}};
  int64_t anchors = 0;
  for (const int stride : decode().strides) anchors += (height / stride) * (width / stride);
  std::vector<Shape> shapes = {{decode().rows(), anchors}};
  if (prototype_stride_ > 0)
    shapes.push_back({decode().extra_channels, height / prototype_stride_, width / prototype_stride_});
  return shapes;
}

Letterbox Network::fit(Size picture, bool rect) const {
  LetterboxOptions letterbox;
  letterbox.minimum_rectangle = rect;
  letterbox.stride = stride_;
  return letterbox_geometry(picture, size_, letterbox);
}

Tensor Network::letterboxed(const image::Image& image, bool rect) const {
  const Letterbox geometry = fit({image.width(), image.height()}, rect);
  Tensor input = empty_input(geometry.out.height, geometry.out.width);
  image::fill_letterboxed(image, geometry, format_, input.values().data());
  return input;
}

Tensor Network::fitted(const image::Image& image) const {
  predict::require_readable(image, trained_.model.graph);
  if (is_detector()) return letterboxed(image, false);
  const image::Image cut = image::resize_for_classifier(image, format_.resize, format_.crop,
                                                        image::resize_filter(format_.interpolation));
  Tensor input = empty_input(format_.crop, format_.crop);
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

predict::ImageFindings Network::findings(const Prepared& prepared, std::span<const Outputs> outputs,
                                         predict::ReadOptions options) const {
  options.nms.suppress = decode_.suppress;
  const bool is_cut = prepared.tiles.size() > 1;
  const bool outlines = options.outlines && is_cut;
  if (is_cut) {
    options.masks = predict::MaskSize::kImage;
    options.outlines = false;
  }
  std::vector<predict::ImageFindings> found;
  for (size_t i = 0; i < prepared.tiles.size(); ++i) {
    const Size size = prepared.tiles[i].size;
    const Size network = fit(size, options_.rect).out;
    const Tensor& prediction = outputs[i].front();
    const predict::ImagePrediction read = {
        .decode = decode(),
        .prediction = prediction.values().data(),
        .anchors = prediction.dim(2),
        .prototypes = has_masks() ? predict::prototypes_of(outputs[i].back()) : detect::Prototypes(),
        .network = network,
        .picture = size,
        .ratio_pad = assumed_ratio_pad(network, size)};
    found.push_back(predict::read_prediction(read, options));
  }
  if (!is_cut) return std::move(found.front());
  predict::ImageFindings all =
      predict::join_findings(std::move(found), prepared.tiles, prepared.picture, decode().extra, options.nms);
  if (outlines) predict::add_outlines(all.extras, prepared.picture);
  return all;
}

size_t Network::most_at_once(const Shape& input) const {
  const int64_t own = static_cast<int64_t>(size_.height) * size_.width, found = input[2] * input[3];
  const int64_t fitting = static_cast<int64_t>(options_.max_batch) * own / std::max(own, found);
  return std::bit_floor(std::min(static_cast<size_t>(std::max<int64_t>(fitting, 1)), threads_));
}

size_t Network::best_at_once(const Shape& input, size_t waiting) {
  const size_t most = std::min(waiting, most_at_once(input));
  if (most == 1) return 1;
  if (batch_sizes_.size() >= kMeasuredShapes && !batch_sizes_.contains(input)) batch_sizes_.clear();
  return batch_sizes_[input].choose(most);
}

void Network::run(const Shape& input, size_t at_once, const std::function<void(const RunOne&)>& work) {
  predict::CompiledNetwork::Compiled& compiled = network_->at(input, at_once);
  std::atomic<size_t> ran = 0;
  const Stopwatch clock;
  side_by_side_.run(at_once, [&](size_t i) {
    work([&](const Tensor& one, Outputs& outputs) {
      run_on(compiled.at(i).engine, one, outputs);
      ++ran;
    });
  });
  if (const auto measured = batch_sizes_.find(input); measured != batch_sizes_.end() && ran > 0)
    measured->second.ran(at_once, clock.seconds() / static_cast<double>(ran));
}

void Network::run_on(engine::Engine& engine, const Tensor& input, Outputs& outputs) {
  engine.run(input);
  outputs.clear();
  for (size_t i = 0; i < output_names_.size(); ++i) {
    Tensor& output = outputs.emplace_back(pool_->take(engine.output(i).shape()));
    engine.swap_output(i, output);
  }
  if (is_detector()) return;
  // As Ultralytics' classifiers answer.
  const std::span<float> classes = outputs.front().values();
  std::ranges::copy(predict::class_probabilities(classes), classes.begin());
}

}  // namespace marrow::serve
