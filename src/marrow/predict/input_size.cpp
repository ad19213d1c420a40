#include "marrow/predict/input_size.h"

#include "marrow/geometry/input_format.h"
#include "marrow/train/recipe/train_options.h"

namespace marrow::predict {

int default_input_side(const model::Model& model) {
  const int crop = input_format(model.graph).crop;
  if (model.task == "classify") return crop > 0 ? crop : kDefaultCrop;
  const int stride = model.largest_stride, side = crop > 0 ? crop : train::kDetectionSize;
  return (side + stride - 1) / stride * stride;
}

Size default_input_size(const model::Model& model) {
  const int usual = default_input_side(model);
  return {model.fixed_width > 0 ? model.fixed_width : usual,
          model.fixed_height > 0 ? model.fixed_height : usual};
}

}  // namespace marrow::predict
