// marrow predict: what is in these images? Videos are seen by the program marrow-video, which takes the place
// of this one.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "commands/commands.h"
#include "marrow/base/counted.h"
#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/run_folder.h"
#include "marrow/base/text.h"
#include "marrow/detect/dota_tiles.h"
#include "marrow/detect/draw.h"
#include "marrow/detect/results.h"
#include "marrow/detect/save.h"
#include "marrow/detect/sources.h"
#include "marrow/image/convert.h"
#include "marrow/image/decode.h"
#include "marrow/image/encode.h"
#include "marrow/predict/classifier.h"
#include "marrow/predict/detector.h"
#include "marrow/predict/input_size.h"
#include "support/open_model.h"
#include "support/video_program.h"
#include "watching/predict_flags.h"
#include "watching/times.h"

namespace marrow::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// An image that cannot be read is named and skipped: empty.
std::optional<image::DecodedImage> read_picture(const fs::path& path, const image::DecodeOptions& how,
                                                const std::string& counter) {
  try {
    image::DecodedImage decoded = image::decode_image_file(path, how);
    if (!decoded.warning.empty()) fmt::print(stderr, "marrow: {}\n", decoded.warning);
    return decoded;
  } catch (const Error& error) {
    fmt::print(stderr, "marrow: {} skipped: {}\n", counter, error.what());
    return {};
  }
}

// One run over all images. The two kinds of network differ in `see`: what they find in one image, said
// and saved.
class Prediction {
 public:
  Prediction(const PredictFlags& options, RunFolder folder, const Graph& graph)
      : options_(options),
        folder_(std::move(folder)),
        talk_(options.as_json ? stderr : stdout),
        reading_(image_reading(graph)) {}
  virtual ~Prediction() = default;

  int run(const std::vector<fs::path>& pictures) {
    RunTimes times;
    for (size_t i = 0; i < pictures.size(); ++i) {
      const std::string counter = fmt::format("image {}/{}", i + 1, pictures.size());
      const std::optional<image::DecodedImage> decoded = read_picture(pictures[i], decode_options(), counter);
      if (!decoded) continue;
      folder_.make();
      const Picture picture = {pictures[i], names_of_outputs_.take(pictures[i])};
      times.add(see(picture, *decoded, fmt::format("{} {}: ", counter, pictures[i].string())));
      std::fflush(stdout);
    }
    if (times.count() > 0) {
      finish();
      fmt::print(talk_, "Speed: {} per image at shape {}\n", times.mean_text(), last_shape_);
      if (!folder_.path().empty()) fmt::print(talk_, "Results saved to {}\n", folder_.path().string());
    }
    if (labels_ > 0)
      fmt::print(talk_, "{} saved to {}\n", counted(labels_, "label"), (folder_.path() / "labels").string());
    const size_t unread = pictures.size() - static_cast<size_t>(times.count());
    if (unread > 0)
      fmt::print(stderr, "marrow: {} of {} images could not be read\n", unread, pictures.size());
    return unread == 0 ? 0 : 1;
  }

 protected:
  struct Picture {
    fs::path path;
    std::string output;  // what files of this image are called, without a suffix
  };

  virtual image::DecodeOptions decode_options() const { return {.fit = {}, .reading = reading_}; }
  virtual predict::PredictTimes see(const Picture& picture, const image::DecodedImage& decoded,
                                    const std::string& head) = 0;
  virtual void finish() {}  // when all images were seen, and any could be read

  void say_shape(Size network) {
    last_shape_ = fmt::format("(1, {}, {}, {})", reading_.samples.channels, network.height, network.width);
  }

  // labels/NAME.txt, its folder made.
  fs::path label_path(const Picture& picture) const {
    const fs::path labels = folder_.path() / "labels";
    make_folders(labels);
    return labels / (picture.output + ".txt");
  }

  const PredictFlags& options_;
  RunFolder folder_;
  std::FILE* talk_;
  const ImageReading reading_;
  int labels_ = 0;

 private:
  std::string last_shape_;
  detect::OutputNames names_of_outputs_;
};

class DetectionRun : public Prediction {
 public:
  DetectionRun(const PredictFlags& options, RunFolder folder, model::TrainedModel trained,
               const predict::DetectorOptions& how)
      : Prediction(options, std::move(folder), trained.model.graph),
        names_(std::move(trained.model.names)),
        dota_(names_),
        detector_(trained.model.graph, trained.weights, how) {}

 private:
  image::DecodeOptions decode_options() const override {
    image::DecodeOptions how{.fit = {}, .reading = reading_};
    if (options_.fast_decode) how.fit = {detector_.size().width, detector_.size().height};
    return how;
  }

  predict::PredictTimes see(const Picture& picture, const image::DecodedImage& decoded,
                            const std::string& head) override {
    const predict::DetectionResult result = detector_.detect(decoded.image);
    fmt::print(talk_, "{}{}x{} {}, {}\n", head, result.network.height, result.network.width,
               detect::summary_text(result.detections, names_), times_text(result.times));
    const Size size = {decoded.full.width, decoded.full.height};
    const std::vector<detect::Detection> detections = in_full_pixels(result.detections, decoded);
    const detect::DetectionExtras extras = in_full_pixels(result.extras, decoded);
    if (options_.as_json)
      fmt::print("{}\n", detect::json_line(picture.path.string(), size, detections, names_, extras));
    say_shape(result.network);
    if (options_.save_txt) {
      detect::write_labels(label_path(picture), size, detections, options_.save_conf, extras);
      labels_ += !detections.empty();
    }
    for (size_t i = 0; i < extras.rotated.size() && options_.save_dota; ++i)
      dota_.add(picture.output, detections[i].class_id, detections[i].confidence, extras.rotated[i]);
    save_images(picture, decoded.image, result);
    return result.times;
  }

  void finish() override {
    if (options_.save_dota) dota_.write(folder_.path());
  }

  // What --fast-decode shrank is said in pixels of the file's image.
  struct Factors {
    explicit Factors(const image::DecodedImage& decoded)
        : x(static_cast<float>(decoded.full.width) / static_cast<float>(decoded.image.width())),
          y(static_cast<float>(decoded.full.height) / static_cast<float>(decoded.image.height())) {}
    float x, y;
  };
  static detect::DetectionExtras in_full_pixels(const detect::DetectionExtras& extras,
                                                const image::DecodedImage& decoded) {
    const auto [x, y] = Factors(decoded);
    return detect::scaled(extras, x, y);
  }
  static std::vector<detect::Detection> in_full_pixels(std::vector<detect::Detection> detections,
                                                       const image::DecodedImage& decoded) {
    const auto [x, y] = Factors(decoded);
    for (detect::Detection& detection : detections) {
      const Box<ImagePixels> box = detection.box;
      detection.box = {box.x1 * x, box.y1 * y, box.x2 * x, box.y2 * y};
    }
    return detections;
  }

  void save_images(const Picture& picture, const image::Image& image,
                   const predict::DetectionResult& result) {
    if (!options_.save_crop && !options_.save) return;
    image::Image drawn = image::displayed(image);
    if (options_.save_crop) {
      if (!crops_) crops_.emplace(folder_.path() / "crops");
      crops_->save(picture.output, drawn, result.detections, names_);
    }
    if (options_.save) {
      detect::draw_detections(drawn, result.detections, names_, result.extras);
      image::write_image(detect::annotated_path(folder_.path(), picture.output, picture.path),
                         drawn.pixels());
    }
  }

  std::vector<std::string> names_;
  std::optional<detect::CropFolder> crops_;
  detect::DotaPredictions dota_;
  predict::Detector detector_;
};

class ClassificationRun : public Prediction {
 public:
  ClassificationRun(const PredictFlags& options, RunFolder folder, const model::TrainedModel& trained,
                    const predict::ClassifierOptions& how)
      : Prediction(options, std::move(folder), trained.model.graph),
        names_(trained.model.names),
        classifier_(trained.model.graph, trained.weights, how) {}

 private:
  predict::PredictTimes see(const Picture& picture, const image::DecodedImage& decoded,
                            const std::string& head) override {
    constexpr int kTop = 5;
    const image::Image& image = decoded.image;
    const predict::ClassificationResult result = classifier_.classify(image, kTop);
    std::string found;
    json top5 = json::array();
    for (const predict::ClassProbability& entry : result.top) {
      const std::string name = detect::class_name(names_, entry.class_id);
      found += fmt::format("{}{} {:.4f}", found.empty() ? "" : ", ", name, entry.probability);
      top5.push_back({{"class", entry.class_id}, {"name", name}, {"probability", entry.probability}});
    }
    fmt::print(talk_, "{}{}x{} {}, {}\n", head, result.network.height, result.network.width, found,
               times_text(result.times));
    if (options_.as_json) {
      const json line = {{"image", picture.path.string()},
                         {"width", image.width()},
                         {"height", image.height()},
                         {"top5", top5}};
      fmt::print("{}\n", line.dump(-1, ' ', false, json::error_handler_t::replace));
    }
    say_shape(result.network);
    if (options_.save_txt) {
      save_text(label_path(picture), result);
      ++labels_;
    }
    return result.times;
  }

  void save_text(const fs::path& path, const predict::ClassificationResult& result) const {
    std::string text;
    for (const predict::ClassProbability& entry : result.top)
      text += fmt::format("{:.2f} {}\n", entry.probability, detect::class_name(names_, entry.class_id));
    write_file_atomically(path, text);
  }

  std::vector<std::string> names_;
  predict::Classifier classifier_;
};

predict::ClassifierOptions classifier_options(const PredictFlags& o, const model::Model& model) {
  const Size size = predict::input_size(o.model, model, o.imgsz);
  if (size.width != size.height)
    throw Error(ErrorKind::kUsage, "--imgsz: a classifier's input is square; give one number");
  return {size.width, o.engine};
}

RunFolder run_folder(const PredictFlags& options, const std::string& task) {
  const bool detects = task != "classify";
  const bool writes =
      options.save_txt || (detects && (options.save || options.save_crop || options.save_dota));
  return writes ? RunFolder([&options, task] { return options.folder.make(task); }) : RunFolder();
}

int predict(const PredictFlags& options, const std::vector<std::string>& words) {
  const bool is_video = detect::video_kind(options.source).has_value();
  if (is_video && options.save_dota)
    throw Error(ErrorKind::kUsage, fmt::format("--save-dota is for images, and {} is a video",
                                               detect::without_password(options.source)));
  if (is_video) become_video_program(words, options.source);
  model::TrainedModel trained = open_checkpoint(options.model, options.import);
  const std::string task = trained.model.task;
  if (task == "classify" &&
      (options.tiles.side.value_or(0) > 0 || !options.classes.empty() || options.save_crop ||
       options.nms.agnostic || options.fast_decode || options.retina_masks))
    throw Error(ErrorKind::kUsage, options.model +
                                       ": a classifier; --classes, --save-crop, --agnostic-nms, --tile, "
                                       "--fast-decode and --retina-masks are for detectors");
  const auto pictures = detect::expand_sources(options.source);
  // Options are refused before a folder is made.
  if (options.save_dota && task != "obb")
    throw Error(ErrorKind::kUsage,
                fmt::format("{}: a model for '{}'; --save-dota is for turned boxes", options.model, task));
  if (task != "classify") {
    const predict::DetectorOptions how = detector_options(options, trained.model);
    return DetectionRun(options, run_folder(options, task), std::move(trained), how).run(pictures);
  }
  const predict::ClassifierOptions how = classifier_options(options, trained.model);
  return ClassificationRun(options, run_folder(options, task), trained, how).run(pictures);
}

}  // namespace

void declare_predict(Command& command, const std::vector<std::string>& words) {
  auto flags = std::make_shared<PredictFlags>();
  declare_predict_flags(command, *flags);
  command.action([flags, words] { return predict(*flags, words); });
}

}  // namespace marrow::cli
