// The loss of classification: the cross entropy against targets that label smoothing, mixup and cutmix have
// made soft.
#pragma once

#include <cstdint>

#include "marrow/base/tensor.h"
#include "marrow/loss/map_view.h"
#include "marrow/loss/whole_batch.h"

namespace marrow::loss {

// Throws Error{kShape} unless they are (images, classes) float32.
void check_class_targets(const Tensor& targets, int64_t images, int64_t classes);

// Mean over the whole batch, of the images at hand, of -sum_c target_c * log softmax(logits)_c, in double
// precision.
//   logits: (N, classes, 1, 1), float or double
//   targets: (N, classes) float32, rows sum to 1
//   gradient: nullptr, or shaped as the logits: overwritten with the gradient times loss_scale
// NaN where a logit is not a number. Throws Error{kShape} for shapes that do not fit.
template <class T>
double soft_cross_entropy(const MapView<const T>& logits, const Tensor& targets,
                          const MapView<T>* gradient = nullptr, double loss_scale = 1,
                          const WholeBatch& whole = {});

}  // namespace marrow::loss
