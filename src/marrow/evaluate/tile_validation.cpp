#include "marrow/evaluate/tile_validation.h"

#include <algorithm>
#include <memory>

#include "marrow/base/stopwatch.h"
#include "marrow/evaluate/validation_inputs.h"
#include "marrow/image/network_input.h"
#include "marrow/loader/augment/network_planes.h"
#include "marrow/predict/join_tiles.h"

namespace marrow::evaluate {
namespace {

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
