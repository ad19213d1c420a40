#include "open_model.h"

#include <fmt/format.h>

#include "base/error.h"
#include "cli.h"
#include "model/zoo.h"
#include "predict/classifier_input.h"

namespace marrow::cli {

OpenedModel open_model(const std::string& model, const OpenOptions& options) {
  if (is_checkpoint_path(model)) {
    if (!options.backbone.empty() || options.classes > 0)
      throw Error(ErrorKind::kUsage, "--backbone and --nc are for a YAML or a name, not for a checkpoint");
    return {load_trained(model, options.import), true};
  }
  BuildOptions build;
  if (options.classes > 0) build.classes = options.classes;
  OpenedModel opened;
  opened.trained.model = make_model(model, options.backbone, build);
  opened.trained.weights = randomize(opened.trained.model.graph, 0);
  return opened;
}

int default_image_size(const Model& model) {
  constexpr int kDetectorSize = 640;
  const int crop = std::get<Input>(model.graph.nodes.at(0).operation).format.crop;
  if (crop > 0) return crop;
  return model.task == "classify" ? kDefaultCrop : kDetectorSize;
}

int fitting_image_size(const Model& model, int wanted) {
  if (model.task == "classify") return wanted;
  const int stride = model.largest_stride;
  const int size = (wanted + stride - 1) / stride * stride;
  if (size != wanted)
    fmt::print(stderr, "marrow: --imgsz {} is no multiple of the largest stride, {}; using {}\n", wanted,
               stride, size);
  return size;
}

}  // namespace marrow::cli
