#include "marrow/nn/blocks/squeeze_excite.h"

namespace marrow::nn {

Value squeeze_excite(GraphBuilder& g, Value x, const SqueezeExcite& options) {
  const auto conv = [&](Value from, std::string_view name, int out) {
    return g.conv(
        from, name,
        {.out = out, .bias = true, .weight_init = options.weight_init, .bias_init = options.bias_init});
  };
  Value gate = g.global_average_pool(x);
  gate = g.activation(conv(gate, options.reduce, options.hidden), options.activation);
  gate = g.activation(conv(gate, options.expand, g.channels(x)), options.gate);
  return g.multiply(x, gate);
}

}  // namespace marrow::nn
