#include <fmt/format.h>

#include <mutex>

#include "marrow/api/inside.h"
#include "marrow/detect/results.h"

namespace marrow::v0 {

struct Classifier::Impl {
  Impl(const Model::Impl& model, const inside::LayerClassifierOptions& options)
      : names(model.trained.model.names),
        reading(image_reading(model.trained.model.graph)),
        input(options.crop),
        classifier(model.trained.model.graph, model.trained.weights, options) {}

  std::vector<std::string> names;
  ImageReading reading;
  int input;
  std::mutex turn;  // held while `classifier` is used
  inside::LayerClassifier classifier;
};

Classifier::Classifier(const Model& model, const ClassifierOptions& options) {
  impl_ = inside::guarded([&] {
    const Model::Impl& loaded = model.impl();
    if (loaded.task != Task::kClassify)
      throw Error(ErrorKind::kUsage, fmt::format("{}: a model for '{}', not a classifier; wanted is Detector",
                                                 loaded.file, loaded.trained.model.task));
    const inside::LayerSize input =
        options.input_size == 0
            ? loaded.input
            : inside::input_size(loaded.file, loaded.trained.model, options.input_size, options.input_size);
    if (input.width != input.height)
      throw Error(ErrorKind::kUnsupported,
                  fmt::format("{}: the network is fixed at {} x {} pixels; a classifier's input is square",
                              loaded.file, input.width, input.height));
    return std::make_unique<Impl>(
        loaded, inside::LayerClassifierOptions{input.width, inside::engine_options(options.engine)});
  });
}

Classifier::Classifier(Classifier&&) noexcept = default;
Classifier& Classifier::operator=(Classifier&&) noexcept = default;
Classifier::~Classifier() = default;

const Classifier::Impl& Classifier::impl() const {
  return inside::checked(impl_, "Classifier");
}

std::vector<ClassProbability> Classifier::classify(const ImageView& image, int top) const {
  return inside::guarded([&] {
    impl();
    if (top < 1) throw Error(ErrorKind::kUsage, fmt::format("the top {} classes; wanted 1 or more", top));
    const inside::LayerImage pixels = inside::copy_view(image, impl_->reading);
    predict::ClassificationResult result;
    {
      const std::lock_guard turn(impl_->turn);
      result = impl_->classifier.classify(pixels, top);
    }
    std::vector<ClassProbability> likeliest;
    likeliest.reserve(result.top.size());
    for (const inside::LayerClassProbability& each : result.top)
      likeliest.push_back({each.class_id, detect::class_name(impl_->names, each.class_id), each.probability});
    return likeliest;
  });
}

std::vector<std::vector<ClassProbability>> Classifier::classify(std::span<const ImageView> images,
                                                                int top) const {
  return inside::for_each_image<std::vector<ClassProbability>>(
      images, [&](const ImageView& image) { return classify(image, top); });
}

int Classifier::input_size() const {
  return impl().input;
}

}  // namespace marrow::v0
