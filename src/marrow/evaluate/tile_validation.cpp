#include "marrow/evaluate/tile_validation.h"

#include <algorithm>
#include <memory>
#include <numeric>

#include "marrow/base/stopwatch.h"
#include "marrow/evaluate/validation_inputs.h"
#include "marrow/image/network_input.h"
#include "marrow/loader/augment/network_planes.h"
#include "marrow/predict/join_tiles.h"

namespace marrow::evaluate {
namespace {

// What is true of an image that is its own input.
loader::DetectionBatch batch_of_image(const data::LabelledImage& labels, Size picture, Task task) {
  std::vector<loader::Object> objects = loader::objects_of(labels, picture, task);
  const loader::MaskOptions as_large = {.ratio = 1};
  std::vector<int32_t> masks;
  if (task == Task::kSegment) masks = loader::draw_masks(objects, picture, as_large);
  loader::BatchRows rows(task);
  rows.add(objects, {}, picture, masks);
  loader::DetectionBatch batch;
  std::move(rows).move_into(batch, picture, as_large);
  return batch;
}

// What there is to draw of a tile that lies so in an input, in pixels of that.
detect::DetectionExtras in_input(const detect::DetectionExtras& extras, const RatioPad& place, size_t most) {
  std::vector<size_t> first(std::min(most, std::max(extras.masks.size(), extras.rotated.size())));
  std::iota(first.begin(), first.end(), size_t{0});
  detect::DetectionExtras moved = detect::chosen(extras, first);
  for (RotatedBox<ImagePixels>& box : moved.rotated) {
    box.cx = box.cx * static_cast<float>(place.ratio_x) + static_cast<float>(place.left);
    box.cy = box.cy * static_cast<float>(place.ratio_y) + static_cast<float>(place.top);
    box.width *= static_cast<float>(place.ratio_x);
    box.height *= static_cast<float>(place.ratio_y);
  }
  moved.mask_place = {1 / place.ratio_x, 1 / place.ratio_y, -place.left / place.ratio_x,
                      -place.top / place.ratio_y};
  return moved;
}

detect::InputDetection in_input(const detect::Detection& found, const RatioPad& place) {
  const auto x = [&](float at) { return static_cast<float>(at * place.ratio_x + place.left); };
  const auto y = [&](float at) { return static_cast<float>(at * place.ratio_y + place.top); };
  const auto& [x1, y1, x2, y2] = found.box;
  return detect::with_box(found, Box<InputPixels>{x(x1), y(y1), x(x2), y(y2)});
}

Box<InputPixels> input_box(const data::Label& label, Size picture) {
  const auto width = static_cast<float>(picture.width), height = static_cast<float>(picture.height);
  const auto box = label.box.in_single_precision();
  return CentredBox<InputPixels>{box.cx * width, box.cy * height, box.width * width, box.height * height}
      .corner_form();
}

// Tiles of one size, as they go into the network.
loader::DetectionBatch batch_of_tiles(const image::Image& image, const data::LabelledImage& labels,
                                      size_t index, std::span<const Tile> tiles, const Letterbox& geometry,
                                      Task task, cpu::ThreadPool& threads) {
  const auto count = static_cast<int64_t>(tiles.size());
  loader::DetectionBatch batch;
  batch.images = loader::batch_tensor(count, geometry.out, image.format());
  std::vector<loader::Sample> samples(tiles.size());  // without images
  threads.parallel_for(count, [&](int64_t i, int) {
    const auto k = static_cast<size_t>(i);
    const auto& [x, y, size] = tiles[k];
    const image::Image part = image::copy_image(image.region(x, y, size.width, size.height));
    loader::write_planes(image::letterbox(part, geometry), false, batch.images, k);
    const data::LabelledImage here = loader::labels_of_tile(labels, tiles[k]).image;
    samples[k].objects = loader::objects_of(here, geometry.resized, task);
    samples[k].ignored = loader::regions_of(here, geometry.resized);
    const auto left = static_cast<float>(geometry.left), top = static_cast<float>(geometry.top);
    for (loader::Object& object : samples[k].objects) loader::scale_and_shift(object, 1, 1, left, top);
    for (Box<ImagePixels>& region : samples[k].ignored)
      region = loader::scaled_and_shifted(region, 1, 1, left, top);
  });
  loader::BatchRows rows(task);
  for (loader::Sample& sample : samples) {
    std::vector<int32_t> masks;
    if (task == Task::kSegment) masks = loader::draw_masks(sample.objects, geometry.out, {});
    rows.add(sample.objects, sample.ignored, geometry.out, masks);
  }
  std::move(rows).move_into(batch, geometry.out);
  batch.origin.assign(tiles.size(), {.index = index, .original = tiles.front().size});
  return batch;
}

}  // namespace

DetectorValidation validate_whole_images(loader::ImageStore& store, const DetectorValidationOptions& options,
                                         const DetectImage& detect,
                                         const std::function<bool(int64_t)>& keep_going) {
  DetectionValidator validator(options.names, {.confidence = options.confidence,
                                               .category_ids = options.numbers.categories,
                                               .rules = options.rules,
                                               .second = options.head.second(),
                                               .turned = options.head.turned()});
  const detect::NmsOptions nms = suppression(options, store);
  ValidationTimes total;
  int64_t images = 0;
  for (size_t i = 0; i < store.size(); ++i) {
    Stopwatch clock;
    const std::shared_ptr<const image::Image> image = store.load(i);
    if (image == nullptr) continue;
    total.preprocess += clock.lap_milliseconds();
    const predict::DetectionResult found = detect(i, *image);
    total.preprocess += found.times.preprocess_ms;
    total.inference += found.times.inference_ms;
    total.postprocess += found.times.postprocess_ms;
    const Size picture = {image->width(), image->height()};
    const data::LabelledImage& labels = store.labels(i);
    // The image is its own input.
    ValidatedImage seen;
    seen.file_name = labels.path.filename().string();
    seen.picture = seen.network = picture;
    seen.ratio_pad = assumed_ratio_pad(picture, picture);
    seen.image_id = options.numbers.picture(labels.path);
    if (options.head.decode.extra == DetectExtra::kNone) {
      std::vector<TruthBox> truth;
      for (const data::Label& label : labels.labels)
        truth.push_back({input_box(label, picture), label.class_id});
      std::vector<detect::InputDetection> detections;
      for (const detect::Detection& one : found.detections)
        detections.push_back(detect::with_box(one, Box<InputPixels>::from_corners(one.box.corners())));
      seen.truth = truth;
      seen.detections = detections;
      seen.coco_truth = coco_truth(labels);
      validator.add(seen);
    } else {
      if (options.head.second() == SecondBlock::kMasks) require_room_for_masks(labels, nms);
      const loader::DetectionBatch truth = batch_of_image(labels, picture, store.task());
      const TaskImage task_image(
          {.batch = truth, .labels = labels, .ratio_pad = seen.ratio_pad, .network = picture}, options.head,
          found);
      describe(task_image, labels, seen);
      seen.coco = task_image.coco();
      if (options.predictions) seen.fields = task_image.fields();
      validator.add(seen);
    }
    ++images;
    if (keep_going && !keep_going(images)) break;
  }
  return {validator.report(), options.predictions ? validator.predictions() : std::vector<CocoPrediction>(),
          total.per_image(images)};
}

DetectorValidation validate_tiles(loader::ImageStore& store, const TiledInput& input,
                                  const DetectorValidationOptions& options, const PredictBatch& predict,
                                  cpu::ThreadPool& threads, const std::function<bool(int64_t)>& keep_going) {
  const auto classes = static_cast<int>(options.names.size());
  const detect::NmsOptions nms = suppression(options, store);
  DetectDecode decode = options.head.decode;
  decode.classes = classes;
  int64_t batches = 0;
  const DetectImage detect = [&](size_t index, const image::Image& image) {
    const Size picture = {image.width(), image.height()};
    const std::vector<Tile> tiles = tiles_of(picture, input.tiles);
    const Letterbox geometry = letterbox_geometry(tiles.front().size, {input.image_size, input.image_size},
                                                  {.minimum_rectangle = true, .stride = input.stride});
    const RatioPad ratio_pad = assumed_ratio_pad(geometry.out, tiles.front().size);
    predict::DetectionResult result;
    std::vector<predict::ImageFindings> found(tiles.size());
    const auto most = static_cast<size_t>(input.batch);
    for (size_t first = 0; first < tiles.size(); first += most) {
      const auto some = std::span(tiles).subspan(first, std::min(most, tiles.size() - first));
      Stopwatch clock;
      loader::DetectionBatch batch =
          batch_of_tiles(image, store.labels(index), index, some, geometry, store.task(), threads);
      batch.number = batches++;
      result.times.preprocess_ms += clock.lap_milliseconds();
      const BatchPredictions predictions = predict(batch);
      result.times.inference_ms += clock.lap_milliseconds();
      require_predictions(predictions.decoded, some.size(), classes, decode.extra_channels);
      threads.parallel_for(std::ssize(some), [&](int64_t i, int) {
        const auto number = static_cast<size_t>(i);
        predict::ImagePrediction read = {.decode = decode,
                                         .prediction = predictions.decoded_of(i),
                                         .anchors = predictions.decoded.dim(2),
                                         .prototypes = {},
                                         .network = geometry.out,
                                         .picture = some[number].size,
                                         .ratio_pad = ratio_pad};
        if (decode.extra == DetectExtra::kCoefficients) read.prototypes = predictions.prototypes_of(i);
        found[first + number] =
            predict::read_prediction(read, {.nms = nms, .masks = predict::MaskSize::kImage});
      });
      if (options.show) {
        std::vector<std::vector<detect::InputDetection>> shown(some.size());
        for (size_t i = 0; i < some.size(); ++i)
          for (const detect::Detection& one : found[first + i].detections)
            shown[i].push_back(in_input(one, ratio_pad));
        ExtrasOfImage extras;
        if (decode.extra != DetectExtra::kNone)
          extras = [&](size_t tile, size_t count) {
            return in_input(found[first + tile].extras, ratio_pad, count);
          };
        options.show(batch, shown, extras);
      }
      result.times.postprocess_ms += clock.lap_milliseconds();
    }
    const Stopwatch clock;
    predict::ImageFindings all = predict::join_findings(std::move(found), tiles, picture, decode.extra, nms);
    result.detections = std::move(all.detections);
    result.extras = std::move(all.extras);
    result.times.postprocess_ms += clock.milliseconds();
    return result;
  };
  return validate_whole_images(store, options, detect, keep_going);
}

}  // namespace marrow::evaluate
