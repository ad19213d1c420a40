#include "marrow/engine/compile/expansions.h"

#include <algorithm>
#include <optional>

#include "marrow/engine/steps/expand_depthwise.h"
#include "marrow/engine/steps/output_groups.h"

namespace marrow::engine {
namespace {

class Fuser {
 public:
  Fuser(const Kernels& kernels, int threads, Lowered& lowered)
      : kernels_(kernels),
        threads_(threads),
        lowered_(lowered),
        readers_(lowered.placements.size()),
        touched_(lowered.placements.size(), 0) {
    for (size_t i = 0; i < lowered.ops.size(); ++i) {
      const LoweredOp& op = lowered.ops[i];
      for_each_read(op, [&](Value value) {
        readers_[index(value)].push_back(i);
        ++touched_[index(lowered.root(value))];
      });
      ++touched_[index(lowered.root(op.output))];
    }
  }

  void run() {
    std::vector<bool> absorbed(lowered_.ops.size(), false);
    for (size_t i = 0; i < lowered_.ops.size(); ++i) {
      LoweredOp& expand = lowered_.ops[i];
      const std::optional<size_t> reader = sole_reader(expand.output);
      if (!reader || !is_expansion(expand) || !is_depthwise(lowered_.ops[*reader], expand.output) ||
          !gains(expand, lowered_.ops[*reader]))
        continue;
      fuse(expand, lowered_.ops[*reader]);
      absorbed[i] = true;
    }
    size_t i = 0;
    std::erase_if(lowered_.ops, [&](const LoweredOp&) { return absorbed[i++]; });
  }

 private:
  static size_t index(Value value) { return static_cast<size_t>(value.id); }
  const Shape& shape(Value value) const { return lowered_.shapes[index(value)]; }

  // The one operation that reads `value`, where storage that is its own holds it for nobody else.
  std::optional<size_t> sole_reader(Value value) const {
    constexpr int kWriterAndReader = 2;
    if (lowered_.root(value) != value || readers_[index(value)].size() != 1 ||
        touched_[index(value)] != kWriterAndReader)
      return std::nullopt;
    return readers_[index(value)][0];
  }

  bool is_expansion(const LoweredOp& op) const {
    const auto* layer = std::get_if<lowered::Convolution>(&op.operation);
    return layer != nullptr && layer->conv.kernel == 1 && layer->conv.stride == 1 &&
           layer->conv.groups == 1 && layer->conv.padding == Padding() &&
           layer->epilogue.join == Epilogue::Join::kNone && lowered_.is_float32_map(op.output) &&
           std::ranges::all_of(op.inputs, [&](Value input) { return lowered_.is_float32_map(input); });
  }

  bool is_depthwise(const LoweredOp& op, Value src) const {
    const auto* layer = std::get_if<lowered::Convolution>(&op.operation);
    return layer != nullptr && op.inputs.size() == 1 && op.inputs[0] == src && layer->channels.empty() &&
           layer->conv.groups == shape(src)[1] && layer->conv.groups == layer->conv.out_channels &&
           layer->conv.dilation == 1 && lowered_.is_float32_map(op.output);
  }

  // With more channels to read, the product takes so long that writing its result matters little, while its
  // source, read once for every group of outputs, fills the caches.
  bool gains(const LoweredOp& expand, const LoweredOp& depthwise) const {
    constexpr int64_t kMostChannels = 96;
    const auto& from = std::get<lowered::Convolution>(expand.operation);
    const auto& to = std::get<lowered::Convolution>(depthwise.operation);
    const int64_t wide = shape(expand.output)[1];
    const int64_t channels =
        from.channels.empty() ? shape(expand.inputs[0])[1] : static_cast<int64_t>(from.channels.size());
    if (channels > kMostChannels || wide < channels) return false;
    const auto groups = static_cast<int64_t>(group_outputs(static_cast<int>(wide), kernels_).size());
    const Shape& out = shape(depthwise.output);
    return threads_ == 1 ||
           out[0] * groups * most_bands(out[2], to.conv.kernel, to.conv.stride) >= kTasksAThread * threads_;
  }

  static void fuse(LoweredOp& expand, LoweredOp& depthwise) {
    auto& layer = std::get<lowered::Convolution>(depthwise.operation);
    depthwise.operation =
        lowered::ExpandDepthwise{std::move(std::get<lowered::Convolution>(expand.operation)),
                                 std::move(layer.conv), std::move(layer.epilogue)};
    depthwise.name = std::move(expand.name);
    depthwise.inputs = std::move(expand.inputs);
  }

  static constexpr int64_t kTasksAThread = 2;  // at least: the two steps can be cut more finely

  const Kernels& kernels_;
  const int threads_;
  Lowered& lowered_;
  std::vector<std::vector<size_t>> readers_;  // of each value
  std::vector<int> touched_;                  // how often operations read or write a root's storage
};

}  // namespace

void fuse_expansions(const Kernels& kernels, int threads, Lowered& lowered) {
  Fuser(kernels, threads, lowered).run();
}

}  // namespace marrow::engine
