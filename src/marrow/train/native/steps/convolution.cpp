#include "marrow/train/native/steps/convolution.h"

#include <algorithm>
#include <numeric>

namespace marrow::train::native {

bool PackedWeights::need(const std::string& new_kind, int64_t new_version) {
  if (kind_ == new_kind && version_ == new_version) return false;
  kind_ = new_kind;
  version_ = new_version;
  return true;
}

double macs_of(const Conv& op, int inputs, const Map& output) {
  return static_cast<double>(output.images * output.channels * output.pixels()) * op.kernel * op.kernel *
         inputs / op.groups;
}

DenseConvolution::DenseConvolution(const ConvolutionSetting& setting, std::span<const Map> maps, int lanes)
    : op_(setting.op),
      rows_(setting.rows),
      columns_(setting.columns),
      weight_(setting.weight),
      product_(setting.output, setting.op.out_channels, setting.bias),
      packed_(*setting.packed),
      pairs_(setting.bfloat16),
      lanes_(lanes),
      out_blocks_(maps[static_cast<size_t>(setting.output)].blocks(lanes)),
      channels_(setting.input.channels()),
      macs_(macs_of(setting.op, channels_, maps[static_cast<size_t>(setting.output)])) {
  output = setting.output;
  inputs.push_back(setting.input);
}

DenseConvolution::DenseWeights DenseConvolution::dense_weights() const {
  DenseWeights dense;
  dense.inputs.assign(static_cast<size_t>(input_lanes()), kNoChannel);
  bool read_twice = false;
  for (int c = 0; c < channels_; ++c) {
    int& channel = dense.inputs[static_cast<size_t>(reader().lane_of(c))];
    read_twice |= channel != kNoChannel;
    channel = c;
  }
  dense.values = weight_.value;
  dense.count = channels_;
  if (op_.groups == 1 && !read_twice) return dense;
  // Groups have zeros for other groups' inputs, and a channel that is read twice the sum of both weights.
  dense.count = input_lanes();
  std::iota(dense.inputs.begin(), dense.inputs.end(), 0);
  dense.own = Tensor({op_.out_channels, dense.count, taps()});
  const int group_inputs = channels_ / op_.groups, group_outputs = op_.out_channels / op_.groups;
  for (int64_t o = 0; o < op_.out_channels; ++o)
    for (int64_t c = 0; c < group_inputs; ++c) {
      const int64_t lane = reader().lane_of(static_cast<int>(o / group_outputs * group_inputs + c));
      for (int64_t tap = 0; tap < taps(); ++tap)
        dense.own.values()[static_cast<size_t>((o * dense.count + lane) * taps() + tap)] +=
            weight_.value[(o * group_inputs + c) * taps() + tap];
    }
  dense.values = dense.own.values().data();
  return dense;
}

void DenseConvolution::pack(const Run& run, const Packing& packing, Tensor& packed) const {
  const DenseWeights dense = dense_weights();
  std::vector<int> outputs(static_cast<size_t>(output_lanes()), kNoChannel);
  std::iota(outputs.begin(), outputs.begin() + op_.out_channels, 0);
  const int64_t of_output = dense.count * taps(), of_input = taps();
  const auto counted =
      static_cast<size_t>((packing.turned ? out_blocks_ : reader().blocks()) * packing.block_channels);
  const std::span<const int> inputs = packing.turned ? outputs : dense.inputs;
  PackArgs args{.weights = dense.values,
                .output_step = packing.turned ? of_input : of_output,
                .input_step = packing.turned ? of_output : of_input,
                .outputs = packing.turned ? dense.inputs : outputs,
                .inputs = inputs.first(counted),
                .block_channels = packing.block_channels,
                .taps = packing.taps,
                .pairs = pairs_};
  const int64_t enlarged = packing.winograd ? 4 : 1, floats = enlarged * packed_size(args);
  if (packed.size() != floats) packed = Tensor({floats});
  // A group of outputs at a time: they lie one after the other.
  const std::span<const int> all = args.outputs;
  const auto blocks = static_cast<int64_t>(all.size()) / lanes_;
  std::vector<int64_t> first = {0};
  while (first.back() < blocks)
    first.push_back(first.back() +
                    next_group(static_cast<int>(blocks - first.back()), run.kernels->output_group));
  run.pool->parallel_for(static_cast<int64_t>(first.size()) - 1, [&](int64_t group, int) {
    const int64_t begin = first[static_cast<size_t>(group)], end = first[static_cast<size_t>(group) + 1];
    PackArgs part = args;
    part.outputs =
        all.subspan(static_cast<size_t>(begin * lanes_), static_cast<size_t>((end - begin) * lanes_));
    float* dst = packed.values().data() + floats / blocks * begin;
    if (packing.winograd)
      pack_winograd_weights(part, *run.kernels, dst);
    else
      native::pack_weights(part, *run.kernels, dst);
  });
}

// Few where a matrix is large: they are read and written besides the product.
int64_t DenseConvolution::weight_shares(int64_t floats) const {
  constexpr int64_t kSmall = 1 << 17, kMiddle = 1 << 19;
  return floats <= kSmall ? 8 : floats <= kMiddle ? 4 : 2;
}

void DenseConvolution::add_tap_gradients(const Run& run, const float* acc, int64_t shares) const {
  run.pool->parallel_for(out_blocks_, [&](int64_t block, int) {
    for (int64_t share = 0; share < shares; ++share)
      add_block_gradients(block, acc + share * taps() * matrix_floats() + block * lanes_ * input_lanes(),
                          matrix_floats());
  });
}

void DenseConvolution::add_block_gradients(int64_t block, const float* gradients, int64_t tap_step) const {
  const int group_inputs = channels_ / op_.groups, group_outputs = op_.out_channels / op_.groups;
  const int64_t end = std::min<int64_t>((block + 1) * lanes_, op_.out_channels);
  for (int64_t o = block * lanes_; o < end; ++o) {
    const int64_t first = o / group_outputs * group_inputs;
    const float* row = gradients + (o - block * lanes_) * input_lanes();
    for (int64_t c = 0; c < group_inputs; ++c) {
      float* kernel = weight_.gradient + (o * group_inputs + c) * taps();
      const int64_t lane = reader().lane_of(static_cast<int>(first + c));
      for (int64_t tap = 0; tap < taps(); ++tap) kernel[tap] += row[tap * tap_step + lane];
    }
  }
}

bool is_depthwise(const Conv& op, int channels) {
  return op.groups > 1 && op.groups == channels && op.out_channels == channels;
}

StepPtr make_convolution(const ConvolutionSetting& wanted, std::span<const Map> maps, int lanes) {
  ConvolutionSetting setting = wanted;
  const Conv& op = setting.op;
  // Where a block of inputs meets a single one of outputs, to make pairs takes what their products save.
  if (setting.input.blocks() == 1 && op.out_channels <= lanes) setting.bfloat16 = false;
  if (is_depthwise(op, setting.input.channels())) return make_depthwise(setting, maps, lanes);
  const bool padded = setting.rows.before != 0 || setting.rows.after != 0 || setting.columns.before != 0 ||
                      setting.columns.after != 0;
  if (op.kernel == 1 && op.stride == 1 && !padded) return make_pointwise(setting, maps, lanes);
  const auto one = [](const Padding& p) { return p.before == 1 && p.after == 1; };
  if (op.kernel == 3 && op.stride == 1 && op.dilation == 1 && one(setting.rows) && one(setting.columns) &&
      setting.input.channels() >= lanes) {
    setting.bfloat16 = false;  // rounded after its transform, bfloat16 loses five times as much
    return make_winograd(setting, maps, lanes);
  }
  return make_direct(setting, maps, lanes);
}

}  // namespace marrow::train::native
