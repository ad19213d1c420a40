#include "marrow/evaluate/detector_validation.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "marrow/base/error.h"
#include "marrow/base/stopwatch.h"
#include "marrow/evaluate/sent_images.h"
#include "marrow/image/network_input.h"
#include "marrow/loader/augment/network_planes.h"
#include "marrow/predict/join_tiles.h"

namespace marrow::evaluate {
namespace {

// What is true of each image of the batch, in pixels of the network's input.
std::vector<std::vector<TruthBox>> truth_of(const loader::DetectionBatch& batch) {
  std::vector<std::vector<TruthBox>> truth(batch.origin.size());
  const auto width = static_cast<float>(batch.images.dim(3)),
             height = static_cast<float>(batch.images.dim(2));
  const std::span<const float> rows = batch.targets.values();
  for (size_t i = 0; i + 6 <= rows.size(); i += 6) {
    const CentredBox<InputPixels> box = {rows[i + 2] * width, rows[i + 3] * height, rows[i + 4] * width,
                                         rows[i + 5] * height};
    truth.at(static_cast<size_t>(rows[i])).push_back({box.corner_form(), static_cast<int>(rows[i + 1])});
  }
  return truth;
}

Box<InputPixels> input_box(const data::Label& label, Size picture) {
  const auto width = static_cast<float>(picture.width), height = static_cast<float>(picture.height);
  const auto box = label.box.in_single_precision();
  return CentredBox<InputPixels>{box.cx * width, box.cy * height, box.width * width, box.height * height}
      .corner_form();
}

CocoTruthBox coco_box_of(const data::Label& label, const data::LabelledImage& image, bool crowd) {
  const CocoBox box = data::pixel_box(label, image);
  return {label.class_id, box, box.area(), crowd};
}

// COCO's crowds take detections that would otherwise be wrong; they are not among the labels.
std::vector<CocoTruthBox> crowds_of(const data::LabelledImage& image) {
  std::vector<CocoTruthBox> crowds;
  for (const data::IgnoredLabel& ignored : image.ignored)
    if (ignored.reason == data::IgnoredLabel::Reason::kCrowd)
      crowds.push_back(coco_box_of(ignored.label, image, true));
  return crowds;
}

// Labels and crowds, where there are crowds.
std::optional<std::vector<CocoTruthBox>> coco_truth(const data::LabelledImage& image) {
  const std::vector<CocoTruthBox> crowds = crowds_of(image);
  if (crowds.empty()) return {};
  std::vector<CocoTruthBox> boxes;
  for (const data::Label& label : image.labels) boxes.push_back(coco_box_of(label, image, false));
  boxes.insert(boxes.end(), crowds.begin(), crowds.end());
  return boxes;
}

// Masks of all objects and crowds are compared with each one that is found. An object's takes no more than
// its box, which is that of its outline; a crowd's may.
void require_room_for_masks(const data::LabelledImage& image, const detect::NmsOptions& nms) {
  constexpr double kMostBytes = double{1 << 30};
  double share = 0;
  for (const data::Label& label : image.labels)
    share += std::min(label.box.width, 1.0) * std::min(label.box.height, 1.0);
  const size_t crowds = crowds_of(image).size(), masks = image.labels.size() + crowds;
  share += static_cast<double>(crowds);
  const double pixels = share * image.width * image.height;
  const double pairs = static_cast<double>(image.labels.size()) * nms.max_detections;
  if (pixels + pairs * sizeof(float) > kMostBytes)
    throw Error(ErrorKind::kUsage, fmt::format("{}: the masks of its {} objects and crowds, {:.0f} million "
                                               "pixels in all, do not fit into memory "
                                               "together",
                                               image.path.string(), masks, pixels / 1e6));
}

// (N, 4 + classes + extra, anchors), or an error.
void require_predictions(const Tensor& predictions, size_t images, int classes, int extra = 0) {
  const int64_t rows = int64_t{4} + classes + extra;
  if (predictions.shape().size() != 3 || predictions.dim(0) != static_cast<int64_t>(images) ||
      predictions.dim(1) != rows)
    throw Error(ErrorKind::kShape,
                fmt::format("predictions are {}; {} images and {} classes want ({}, {}, anchors)",
                            to_string(predictions.shape()), images, classes, images, rows));
}

std::vector<std::vector<detect::InputDetection>> found_in(const Tensor& predictions,
                                                          const detect::NmsOptions& nms,
                                                          cpu::ThreadPool& threads) {
  const auto classes = static_cast<int>(predictions.dim(1) - 4);
  const int64_t anchors = predictions.dim(2);
  std::vector<std::vector<detect::InputDetection>> detections(static_cast<size_t>(predictions.dim(0)));
  threads.parallel_for(predictions.dim(0), [&](int64_t i, int) {
    detections[static_cast<size_t>(i)] = detect::find_detections(
        predictions.values().data() + i * (4 + classes) * anchors, classes, anchors, nms);
  });
  return detections;
}

// Images of a task that finds more than boxes.
std::vector<std::unique_ptr<TaskImage>> add_task_images(
    const loader::DetectionBatch& batch, const BatchPredictions& predictions, const loader::ImageStore& store,
    const DetectorValidationOptions& options, const detect::NmsOptions& nms, cpu::ThreadPool& threads,
    const std::function<void(const ValidatedImage&)>& add) {
  const auto count = static_cast<int64_t>(batch.origin.size());
  std::vector<std::unique_ptr<TaskImage>> images(batch.origin.size());
  std::vector<std::optional<CocoOverlaps>> coco(images.size());
  std::vector<std::vector<std::string>> fields(images.size());
  const bool masks = options.head.second() == SecondBlock::kMasks;
  for (const loader::BatchImage& origin : batch.origin)
    if (masks) require_room_for_masks(store.labels(origin.index), nms);
  threads.parallel_for(count, [&](int64_t image, int) {
    const auto i = static_cast<size_t>(image);
    const loader::BatchImage& origin = batch.origin[i];
    images[i] = std::make_unique<TaskImage>(ImageOfBatch{.batch = batch,
                                                         .predictions = predictions,
                                                         .image = image,
                                                         .labels = store.labels(origin.index),
                                                         .ratio_pad = origin.ratio_pad(options.rules)},
                                            options.head, nms);
    coco[i] = images[i]->coco();
    if (options.predictions) fields[i] = images[i]->fields();
  });
  for (size_t i = 0; i < images.size(); ++i) {
    const loader::BatchImage& origin = batch.origin[i];
    const data::LabelledImage& labels = store.labels(origin.index);
    add({.file_name = labels.path.filename().string(),
         .picture = origin.original,
         .network = {static_cast<int>(batch.images.dim(3)), static_cast<int>(batch.images.dim(2))},
         .ratio_pad = origin.ratio_pad(options.rules),
         .truth = images[i]->truth(),
         .detections = images[i]->detections(),
         .crowds = masks ? crowds_of(labels) : std::vector<CocoTruthBox>(),
         .image_id = options.numbers.picture(labels.path),
         .overlap = images[i]->overlap(),
         .second_overlap = images[i]->second_overlap(),
         .coco = std::move(coco[i]),
         .fields = std::move(fields[i]),
         .turned = images[i]->turned()});
  }
  return images;
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

detect::NmsOptions suppression(const DetectorValidationOptions& options, const loader::ImageStore& store) {
  detect::NmsOptions nms;
  const bool usual = options.max_detections == nms.max_detections;
  nms.confidence = options.confidence;
  nms.iou = options.iou;
  nms.max_detections = options.max_detections;
  nms.agnostic = options.agnostic;
  nms.suppress = options.suppress;
  nms.multi_label = true;
  if (options.rules == Rules::k84 && usual)
    for (size_t i = 0; i < store.size(); ++i)
      nms.max_detections = std::max(nms.max_detections, static_cast<int>(store.labels(i).labels.size()));
  return nms;
}

DetectorValidation validate_detector(loader::DetectionLoader& loader, const loader::ImageStore& store,
                                     const DetectorValidationOptions& options, const PredictBatch& predict,
                                     cpu::ThreadPool& threads,
                                     const std::function<bool(int64_t)>& keep_going) {
  const auto classes = static_cast<int>(options.names.size());
  const detect::NmsOptions nms = suppression(options, store);

  DetectionValidator validator(options.names, {.confidence = options.confidence,
                                               .category_ids = options.numbers.categories,
                                               .rules = options.rules,
                                               .second = options.head.second(),
                                               .turned = options.head.turned()});
  std::string sent;  // of this worker
  int64_t number = 0;
  const auto add = [&](const ValidatedImage& image) {
    if (options.gather)
      append_image(sent, number, image);
    else
      validator.add(image);
  };
  ValidationTimes total;
  int64_t images = 0, batches = 0;
  while (true) {
    Stopwatch clock;
    const std::optional<loader::DetectionBatch> batch = loader.next();
    total.preprocess += clock.lap_milliseconds();
    if (!batch) break;
    const size_t count = batch->origin.size();
    number = batch->number;
    if (count == 0 && options.gather) predict(*batch);
    if (count > 0) {
      const BatchPredictions predictions = predict(*batch);
      total.inference += clock.lap_milliseconds();
      require_predictions(predictions.decoded, count, classes, options.head.decode.extra_channels);
      if (options.head.decode.extra != DetectExtra::kNone) {
        const auto found = add_task_images(*batch, predictions, store, options, nms, threads, add);
        total.postprocess += clock.lap_milliseconds();
        std::vector<std::vector<detect::InputDetection>> detections;
        for (const auto& image : found) detections.push_back(image->detections());
        const auto extras = [&](size_t image, size_t first) { return found[image]->drawn(first); };
        if (options.show) options.show(*batch, detections, extras);
        images += static_cast<int64_t>(count);
        if (keep_going && !keep_going(++batches)) break;
        continue;
      }
      const auto detections = found_in(predictions.decoded, nms, threads);
      const auto truth = truth_of(*batch);
      const Size network = {static_cast<int>(batch->images.dim(3)), static_cast<int>(batch->images.dim(2))};
      for (size_t i = 0; i < count; ++i) {
        const loader::BatchImage& origin = batch->origin[i];
        const data::LabelledImage& labels = store.labels(origin.index);
        add({.file_name = labels.path.filename().string(),
             .picture = origin.original,
             .network = network,
             .ratio_pad = origin.ratio_pad(options.rules),
             .truth = truth[i],
             .detections = detections[i],
             .coco_truth = coco_truth(labels),
             .image_id = options.numbers.picture(labels.path)});
      }
      total.postprocess += clock.lap_milliseconds();
      if (options.show) options.show(*batch, detections, {});
      images += static_cast<int64_t>(count);
    }
    if (keep_going && !keep_going(++batches)) break;
  }
  if (options.gather)
    visit_images(options.gather(sent), [&](const ValidatedImage& image) { validator.add(image); });
  return {validator.report(), options.predictions ? validator.predictions() : std::vector<CocoPrediction>(),
          total.per_image(images)};
}

DetectorValidation validate_whole_images(loader::ImageStore& store, const DetectorValidationOptions& options,
                                         const DetectImage& detect,
                                         const std::function<bool(int64_t)>& keep_going) {
  DetectionValidator validator(
      options.names,
      {.confidence = options.confidence, .category_ids = options.numbers.categories, .rules = options.rules});
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
    std::vector<TruthBox> truth;
    for (const data::Label& label : labels.labels)
      truth.push_back({input_box(label, picture), label.class_id});
    std::vector<detect::InputDetection> detections;
    for (const detect::Detection& one : found.detections)
      detections.push_back(detect::with_box(one, Box<InputPixels>::from_corners(one.box.corners())));
    validator.add({.file_name = labels.path.filename().string(),
                   .picture = picture,
                   .network = picture,
                   .ratio_pad = assumed_ratio_pad(picture, picture),
                   .truth = truth,
                   .detections = detections,
                   .coco_truth = coco_truth(labels),
                   .image_id = options.numbers.picture(labels.path)});
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
  int64_t batches = 0;
  const DetectImage detect = [&](size_t index, const image::Image& image) {
    const Size picture = {image.width(), image.height()};
    const std::vector<Tile> tiles = tiles_of(picture, input.tiles);
    const Letterbox geometry = letterbox_geometry(tiles.front().size, {input.image_size, input.image_size},
                                                  {.minimum_rectangle = true, .stride = input.stride});
    const RatioPad ratio_pad = assumed_ratio_pad(geometry.out, tiles.front().size);
    predict::DetectionResult result;
    std::vector<predict::TileDetection> found;
    const auto most = static_cast<size_t>(input.batch);
    for (size_t first = 0; first < tiles.size(); first += most) {
      const auto some = std::span(tiles).subspan(first, std::min(most, tiles.size() - first));
      Stopwatch clock;
      loader::DetectionBatch batch =
          batch_of_tiles(image, store.labels(index), index, some, geometry, store.task(), threads);
      batch.number = batches++;
      result.times.preprocess_ms += clock.lap_milliseconds();
      const Tensor predictions = predict(batch).decoded;
      result.times.inference_ms += clock.lap_milliseconds();
      require_predictions(predictions, some.size(), classes);
      const auto detections = found_in(predictions, nms, threads);
      if (options.show) options.show(batch, detections, {});
      for (size_t i = 0; i < some.size(); ++i)
        for (const detect::InputDetection& one : detections[i])
          found.push_back(predict::moved_from_tile(
              detect::with_box(one, to_image(one.box, ratio_pad, some[i].size)), some[i], first + i));
      result.times.postprocess_ms += clock.lap_milliseconds();
    }
    const Stopwatch clock;
    result.detections = predict::join_tiles(std::move(found), tiles, picture, nms);
    result.times.postprocess_ms += clock.milliseconds();
    return result;
  };
  return validate_whole_images(store, options, detect, keep_going);
}

}  // namespace marrow::evaluate
