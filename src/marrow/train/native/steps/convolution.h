// Dense convolutions of a training step: what their ways of computing share.
//
// A step reads prepared blocks, so a weight has an input lane (Reader::lane_of) and an output lane, and lanes
// that stand for no channel have weights 0. Convolutions in groups are dense ones with zeros.
#pragma once

#include <span>
#include <vector>

#include "marrow/graph/operation.h"
#include "marrow/train/native/kernels/pack.h"
#include "marrow/train/native/step.h"
#include "marrow/train/native/steps/product_output.h"

namespace marrow::train::native {

// A layer's weights as its kernels read them. Programs of all shapes share them.
struct PackedWeights {
  Tensor forward, backward;
  std::vector<Tensor> phases;  // backward, of strides

  // Whether they are yet to be packed, by steps of a kind from weights of a version; then they count as
  // packed.
  bool need(const std::string& new_kind, int64_t new_version);

 private:
  std::string kind_;
  int64_t version_ = -1;
};

struct ConvolutionSetting {
  Conv op;
  Padding rows, columns;  // resolved
  ParameterPlace weight, bias;
  Reader input;
  int output = 0;
  PackedWeights* packed = nullptr;  // outlives the step
  bool bfloat16 = false;            // products of these, where they gain
};

class DenseConvolution : public Step {
 public:
  DenseConvolution(const ConvolutionSetting& setting, std::span<const Map> maps, int lanes);
  double macs() const override { return macs_; }

 protected:
  int64_t input_lanes() const { return int64_t{reader().blocks()} * lanes_; }
  int64_t output_lanes() const { return out_blocks_ * lanes_; }
  Reader& reader() { return inputs.front(); }
  const Reader& reader() const { return inputs.front(); }
  int taps() const { return op_.kernel * op_.kernel; }
  int64_t matrix_floats() const { return input_lanes() * output_lanes(); }
  // What tables say of products: "", or " bf16".
  const char* precision() const { return pairs_ ? " bf16" : ""; }

  // Products read prepared pixels as they are, or as pairs of bfloat16 (kernels.h), in which a pixel takes
  // half the floats.
  int pixel_floats() const { return pairs_ ? lanes_ / 2 : lanes_; }
  void multiply(const Run& run, const MultiplyArgs& args) const {
    (pairs_ ? run.kernels->multiply_pairs : run.kernels->multiply)(args);
  }
  void outer(const Run& run, const OuterArgs& args) const {
    (pairs_ ? run.kernels->outer_pairs : run.kernels->outer)(args);
  }

  // Packs the weights, also as pairs, for outputs from inputs, or where `turned` for inputs from outputs; by
  // Winograd's products or by taps in this order.
  struct Packing {
    bool turned = false, winograd = false;
    std::span<const int> taps;
    int block_channels = 0;
  };
  void pack(const Run& run, const Packing& packing, Tensor& packed) const;
  // Floats of a packed group of so many blocks of outputs.
  int64_t group_floats(int64_t in_blocks, int block_channels, int64_t taps, int64_t blocks) const {
    return in_blocks * block_channels * taps * blocks * lanes_;
  }

  // Shares that add up gradients of the weights, each in its own matrices of `floats`.
  int64_t weight_shares(int64_t floats) const;
  int64_t shared_of(int64_t floats) const {
    return weight_.gradient == nullptr ? 0 : weight_shares(floats) * floats;
  }
  // Adds them, in order, to the parameter's gradient: acc[share][tap][output lane][input lane].
  void add_tap_gradients(const Run& run, const float* acc, int64_t shares) const;
  // Of one block of outputs: gradients[tap][output lane][input lane], taps so many floats apart.
  void add_block_gradients(int64_t block, const float* gradients, int64_t tap_step) const;

  Conv op_;
  Padding rows_, columns_;
  ParameterPlace weight_;
  ProductOutput product_;
  PackedWeights& packed_;
  bool pairs_;
  int lanes_;
  int64_t out_blocks_;
  int channels_;  // of the input

 private:
  // As files hold them, [output][input][tap], of every input that a lane stands for.
  struct DenseWeights {
    const float* values = nullptr;
    Tensor own;               // where they are not the parameter's
    std::vector<int> inputs;  // at each lane
    int64_t count = 0;
  };
  DenseWeights dense_weights() const;

  double macs_;
};

// Of a convolution whose output is this map.
double macs_of(const Conv& op, int inputs, const Map& output);

// Which of these takes a convolution is decided by make_convolution().
StepPtr make_pointwise(const ConvolutionSetting& setting, std::span<const Map> maps, int lanes);
StepPtr make_direct(const ConvolutionSetting& setting, std::span<const Map> maps, int lanes);
StepPtr make_winograd(const ConvolutionSetting& setting, std::span<const Map> maps, int lanes);
StepPtr make_depthwise(const ConvolutionSetting& setting, std::span<const Map> maps, int lanes);

// Whether a convolution is depthwise, each output of one input: it wants an aligned input.
bool is_depthwise(const Conv& op, int channels);
StepPtr make_convolution(const ConvolutionSetting& setting, std::span<const Map> maps, int lanes);

}  // namespace marrow::train::native
