#include "marrow/predict/input_size.h"

#include <fmt/core.h>

#include <algorithm>

#include "marrow/base/error.h"
#include "marrow/base/talk.h"
#include "marrow/geometry/input_format.h"
#include "marrow/train/recipe/train_options.h"

namespace marrow::predict {
namespace {

constexpr int kLeastMultiple = 32;

int fitting_side(const model::Model& model, int wanted) {
  if (model.task == "classify") return wanted;
  const int side = rounded_up(wanted, model.largest_stride);
  if (side != wanted)
    talk(fmt::format("marrow: --imgsz {} is no multiple of the largest stride, {}; using {}", wanted,
                     model.largest_stride, side));
  return side;
}

std::string fixed_text(Size fixed) {
  const auto side = [](int pixels) { return pixels > 0 ? std::to_string(pixels) : "any"; };
  return side(fixed.height) + "x" + side(fixed.width);
}

}  // namespace

int default_input_side(const model::Model& model) {
  const int crop = input_format(model.graph).crop;
  if (model.task == "classify") return crop > 0 ? crop : kDefaultCrop;
  return rounded_up(crop > 0 ? crop : train::kDetectionSize, model.largest_stride);
}

Size default_input_size(const model::Model& model) {
  const int usual = default_input_side(model);
  return {model.fixed_width > 0 ? model.fixed_width : usual,
          model.fixed_height > 0 ? model.fixed_height : usual};
}

Size input_size(const std::string& file, const model::Model& model, std::span<const int> imgsz) {
  if (imgsz.empty()) return default_input_size(model);
  const Size fixed = {model.fixed_width, model.fixed_height};
  const Size wanted = {imgsz.back(), imgsz.front()};
  if ((fixed.width > 0 && fixed.width != wanted.width) || (fixed.height > 0 && fixed.height != wanted.height))
    throw Error(ErrorKind::kUsage,
                fmt::format("--imgsz {}x{}: the network in {} is fixed at {} (height x width)", wanted.height,
                            wanted.width, file, fixed_text(fixed)));
  const int height = fitting_side(model, wanted.height);
  return {wanted.width == wanted.height ? height : fitting_side(model, wanted.width), height};
}

int input_multiple(const DetectDecode& decode) {
  return std::max(*std::ranges::max_element(decode.strides), kLeastMultiple);
}

int rounded_up(int side, int multiple) {
  return (side + multiple - 1) / multiple * multiple;
}

}  // namespace marrow::predict
