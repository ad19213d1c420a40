#include "marrow/train/native/blank_image.h"

#include <variant>

namespace marrow::train::native {
namespace {

Tensor with_one_row(const Tensor& tensor) {
  if (!tensor.defined() || tensor.shape().empty()) return {};
  Shape shape = tensor.shape();
  shape.front() = 1;
  return Tensor(shape, tensor.dtype());
}

}  // namespace

TrainingBatch blank_image(const TrainingBatch& batch, const Objective& objective) {
  TrainingBatch blank = batch;
  blank.images = with_one_row(batch.images);
  if (std::holds_alternative<ClassificationObjective>(objective)) blank.targets = with_one_row(batch.targets);
  if (batch.overlapping) blank.masks = with_one_row(batch.masks);
  return blank;
}

}  // namespace marrow::train::native
