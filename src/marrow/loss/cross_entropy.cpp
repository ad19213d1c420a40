#include "marrow/loss/cross_entropy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "marrow/base/error.h"

namespace marrow::loss {

void check_class_targets(const Tensor& targets, int64_t images, int64_t classes) {
  if (targets.dtype() != DType::kFloat32 || targets.shape() != Shape{images, classes})
    throw Error(ErrorKind::kShape,
                fmt::format("the targets are {} of {}; the loss wants {} of F32", to_string(targets.shape()),
                            dtype_name(targets.dtype()), to_string(Shape{images, classes})));
}

template <class T>
double soft_cross_entropy(const MapView<const T>& logits, const Tensor& targets, const MapView<T>* gradient,
                          double loss_scale, const WholeBatch& whole) {
  if (logits.pixels() != 1)
    throw Error(ErrorKind::kShape,
                fmt::format("logits are {}; the loss wants (N, classes, 1, 1)", to_string(logits.shape())));
  check_class_targets(targets, logits.images, logits.channels);
  if (gradient != nullptr && gradient->shape() != logits.shape())
    throw Error(ErrorKind::kShape, fmt::format("logits are {}, their gradient {}", to_string(logits.shape()),
                                               to_string(gradient->shape())));
  const auto count = static_cast<double>(whole.images(logits.images));
  std::vector<double> powers(static_cast<size_t>(logits.channels));
  double sum = 0;
  for (int64_t image = 0; image < logits.images; ++image) {
    const float* const target = targets.values().data() + image * logits.channels;
    double largest = -INFINITY, total = 0, of_targets = 0;
    for (int64_t c = 0; c < logits.channels; ++c)
      largest = std::max<double>(largest, *logits.channel(image, c));
    for (int64_t c = 0; c < logits.channels; ++c) {
      powers[static_cast<size_t>(c)] = std::exp(*logits.channel(image, c) - largest);
      total += powers[static_cast<size_t>(c)];
      of_targets += static_cast<double>(target[c]);
    }
    const double log_total = largest + std::log(total);
    for (int64_t c = 0; c < logits.channels; ++c) {
      const auto wanted = static_cast<double>(target[c]);
      sum += wanted * (log_total - *logits.channel(image, c));
      if (gradient != nullptr)
        *gradient->channel(image, c) = static_cast<T>(
            (powers[static_cast<size_t>(c)] / total * of_targets - wanted) * loss_scale / count);
    }
  }
  return sum / count;
}

template double soft_cross_entropy<float>(const MapView<const float>&, const Tensor&, const MapView<float>*,
                                          double, const WholeBatch&);
template double soft_cross_entropy<double>(const MapView<const double>&, const Tensor&,
                                           const MapView<double>*, double, const WholeBatch&);

}  // namespace marrow::loss
