#include "marrow/train/first_convolution.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

namespace marrow::train {
namespace {

// (out, in, height, width) of the source with the input channels of `fresh`.
Tensor fitted(const Tensor& source, const Tensor& fresh) {
  Tensor result = fresh.clone();
  const auto outputs = static_cast<size_t>(source.dim(0));
  const auto from = static_cast<size_t>(source.dim(1)), to = static_cast<size_t>(fresh.dim(1));
  const size_t window = static_cast<size_t>(source.dim(2)) * static_cast<size_t>(source.dim(3));
  const std::span<const float> in = source.values();
  const std::span<float> out = result.values();
  for (size_t o = 0; o < outputs; ++o)
    for (size_t k = 0; k < window; ++k) {
      const auto at = [&](size_t c) { return in[(o * from + c) * window + k]; };
      if (to == 1) {
        float sum = 0;
        for (size_t c = 0; c < from; ++c) sum += at(c);
        out[o * window + k] = sum;
      } else {
        for (size_t c = 0; c < std::min(from, to); ++c) out[(o * to + c) * window + k] = at(c);
      }
    }
  return result;
}

bool differs_in_channels(const Shape& a, const Shape& b) {
  return a.size() == 4 && b.size() == 4 && a[0] == b[0] && a[1] != b[1] && a[2] == b[2] && a[3] == b[3];
}

}  // namespace

std::string fit_first_convolution(const Graph& graph, const Weights& fresh, Weights& found) {
  std::string done;
  for (const Node& node : graph.nodes) {
    const auto* conv = std::get_if<Conv>(&node.operation);
    if (conv == nullptr || conv->groups != 1 ||
        !std::holds_alternative<Input>(graph.node(node.inputs.at(0)).operation))
      continue;
    const auto stored = found.find(conv->weight);
    const auto wanted = fresh.find(conv->weight);
    if (stored == found.end() || wanted == fresh.end() ||
        !differs_in_channels(stored->second.shape(), wanted->second.shape()))
      continue;
    const int64_t from = stored->second.dim(1), to = wanted->second.dim(1);
    stored->second = fitted(stored->second.to_float(), wanted->second);
    done = to == 1 ? fmt::format("its first convolution reads {} channels, here 1: their sum is taken", from)
                   : fmt::format("its first convolution reads {} channels, here {}: {} are taken", from, to,
                                 std::min(from, to));
  }
  return done;
}

}  // namespace marrow::train
