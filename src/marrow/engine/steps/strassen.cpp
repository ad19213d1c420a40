// Large 1x1 convolutions by one level of Strassen's algorithm: pixels, input channels and output channels are
// halved, and seven products of halves do the work of eight (Strassen, Gaussian Elimination is not Optimal,
// 1969).
//
//   M1 = (A11 + A22)(B11 + B22)   M2 = (A21 + A22) B11   M3 = A11 (B12 - B22)   M4 = A22 (B21 - B11)
//   M5 = (A11 + A12) B22   M6 = (A21 - A11)(B11 + B12)   M7 = (A12 - A22)(B21 + B22)
//   C11 = M1 + M4 - M5 + M7   C12 = M3 + M5   C21 = M2 + M4   C22 = M1 - M2 + M3 + M6
//
// A: pixels by input channels, B: the weights, whose sums are packed ahead. Some pixels at a time, so that
// the sums and products stay in a cache.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "marrow/base/tensor.h"
#include "marrow/engine/steps/convolution.h"
#include "marrow/engine/steps/matrix_product.h"

namespace marrow::engine {
namespace {

constexpr int64_t kMostPixels = 448;  // at a time
// From where on it was faster than the plain product.
constexpr int64_t kFewestChannels = 512;
constexpr int64_t kFewestPixels = 28;

struct Term {
  int half;  // of the pixels for A, of the input channels for B, of the product number for C
  int other;
  float sign;
};

// A and B of each product: quarters [row][column].
struct Factors {
  std::array<Term, 2> a;
  std::array<Term, 2> b;
};
constexpr Term kNone = {0, 0, 0};
constexpr std::array<Factors, 7> kProducts = {{
    {{{{0, 0, 1}, {1, 1, 1}}}, {{{0, 0, 1}, {1, 1, 1}}}},
    {{{{1, 0, 1}, {1, 1, 1}}}, {{{0, 0, 1}, kNone}}},
    {{{{0, 0, 1}, kNone}}, {{{0, 1, 1}, {1, 1, -1}}}},
    {{{{1, 1, 1}, kNone}}, {{{1, 0, 1}, {0, 0, -1}}}},
    {{{{0, 0, 1}, {0, 1, 1}}}, {{{1, 1, 1}, kNone}}},
    {{{{1, 0, 1}, {0, 0, -1}}}, {{{0, 0, 1}, {0, 1, 1}}}},
    {{{{0, 1, 1}, {1, 1, -1}}}, {{{1, 0, 1}, {1, 1, 1}}}},
}};
// C: products with their signs, [pixel half][output half].
struct Signed {
  int product;
  float sign;
};
constexpr std::array<std::array<std::array<Signed, 4>, 2>, 2> kResults = {{
    {{{{{0, 1}, {3, 1}, {4, -1}, {6, 1}}}, {{{2, 1}, {4, 1}, {0, 0}, {0, 0}}}}},
    {{{{{1, 1}, {3, 1}, {0, 0}, {0, 0}}}, {{{0, 1}, {1, -1}, {2, 1}, {5, 1}}}}},
}};

// Pixels of one image that are computed together.
struct Pixels {
  int64_t image;
  int64_t first;
  int64_t half, second;  // how many the first and the second half are
  const float* map;      // the first pixel's first channel
};

class Strassen final : public Step {
 public:
  explicit Strassen(const ConvDescription& conv);
  void run(const RunContext& context) const override;
  std::string kernel() const override { return fmt::format("strassen 1x1/1{}", to_string(conv_.epilogue)); }
  int64_t shared_floats() const override { return static_cast<int64_t>(kProducts.size()) * factor_floats(); }
  int64_t scratch_floats() const override { return static_cast<int64_t>(kProducts.size()) * result_floats(); }

 private:
  void pack();
  void pack_group(size_t product, size_t g);
  // The floats of one product's sum of pixels, and of its result for one group.
  int64_t factor_floats() const { return most_half_ * in_blocks_ * kernels_.lanes; }
  int64_t result_floats() const { return most_half_ * groups_.front().width(); }
  void add_pixels(const RunContext& context, const Pixels& some) const;
  void multiply_group(const RunContext& context, const Pixels& some, size_t g, float* results) const;
  void combine_group(const RunContext& context, const Pixels& some, const OutputGroup& group,
                     const float* results) const;

  ConvDescription conv_;
  const Kernels& kernels_;
  int64_t in_blocks_, out_blocks_;   // of a half
  int64_t most_half_ = 0;            // pixels
  std::vector<OutputGroup> groups_;  // of a half of the output channels
  std::vector<int64_t> weights_at_;  // of each group in a product's weights
  int64_t product_weights_ = 0;
  std::vector<int64_t> sum_offsets_, map_offsets_;  // of a half's input channels, in a sum and in the map
  Tensor weights_, bias_, zero_;                    // weights: [product][group][channel][width]
};

Strassen::Strassen(const ConvDescription& conv)
    : conv_(conv),
      kernels_(*conv.kernels),
      in_blocks_(conv.src.channels / kernels_.lanes / 2),
      out_blocks_(conv.dst.channels / kernels_.lanes / 2),
      most_half_((std::min(conv.dst.pixels(), kMostPixels) + 1) / 2),
      groups_(group_outputs(conv.dst.channels / 2, kernels_.lanes)) {
  const int64_t lanes = kernels_.lanes;
  for (int64_t c = 0; c < in_blocks_ * lanes; ++c) {
    sum_offsets_.push_back(c / lanes * most_half_ * lanes + c % lanes);
    map_offsets_.push_back(c / lanes * conv.src.block_floats(kernels_.lanes) + c % lanes);
  }
  for (const OutputGroup& group : groups_) {
    weights_at_.push_back(product_weights_);
    product_weights_ += in_blocks_ * lanes * group.width();
  }
  bias_ = Tensor({2 * out_blocks_ * lanes});
  zero_ = Tensor({groups_.front().width()});
  std::ranges::copy(conv_.bias, bias_.values().begin());
  pack();
  conv_.weight = {};
  conv_.bias = {};
  conv_.pool = nullptr;
}

void Strassen::pack() {
  weights_ = Tensor({static_cast<int64_t>(kProducts.size()) * product_weights_});
  const auto groups = static_cast<int64_t>(groups_.size());
  conv_.pool->parallel_for(static_cast<int64_t>(kProducts.size()) * groups, [&](int64_t task, int) {
    pack_group(static_cast<size_t>(task / groups), static_cast<size_t>(task % groups));
  });
}

void Strassen::pack_group(size_t product, size_t g) {
  const OutputGroup& group = groups_[g];
  const int64_t channels = in_blocks_ * kernels_.lanes;
  float* packed =
      weights_.values().data() + static_cast<int64_t>(product) * product_weights_ + weights_at_[g];
  for (const Term& term : kProducts[product].b)
    for (int64_t slot = 0; slot < group.width() && term.sign != 0; ++slot) {
      const int64_t out = term.other * out_blocks_ * kernels_.lanes + group.channel(slot);
      const float* row = conv_.weight.data() + out * 2 * channels + term.half * channels;
      for (int64_t c = 0; c < channels; ++c) packed[c * group.width() + slot] += term.sign * row[c];
    }
}

void Strassen::run(const RunContext& context) const {
  const int64_t pixels = conv_.dst.pixels();
  const int64_t chunks = (pixels + 2 * most_half_ - 1) / (2 * most_half_);
  for (int64_t image = 0; image < conv_.dst.images; ++image)
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      const int64_t first = chunk * pixels / chunks;
      const int64_t count = (chunk + 1) * pixels / chunks - first;
      const int64_t half = (count + 1) / 2;
      const Pixels some{image, first, half, count - half,
                        context.read(conv_.src) + image * conv_.src.image_stride + first * kernels_.lanes};
      add_pixels(context, some);
      context.pool->parallel_for(static_cast<int64_t>(groups_.size()), [&](int64_t g, int thread) {
        multiply_group(context, some, static_cast<size_t>(g), context.thread_scratch(thread));
        combine_group(context, some, groups_[static_cast<size_t>(g)], context.thread_scratch(thread));
      });
    }
}

// The sums of A's quarters. The second half of the pixels may have one less: what is missing counts as zero.
void Strassen::add_pixels(const RunContext& context, const Pixels& some) const {
  const int64_t lanes = kernels_.lanes;
  const int64_t block_floats = conv_.src.block_floats(kernels_.lanes);
  context.pool->parallel_for(static_cast<int64_t>(kProducts.size()) * in_blocks_, [&](int64_t task, int) {
    const auto product = static_cast<size_t>(task / in_blocks_);
    const int64_t block = task % in_blocks_;
    const auto& [left, right] = kProducts[product].a;
    if (right.sign == 0) return;
    const auto at = [&](const Term& term) {
      return some.map + (term.other * in_blocks_ + block) * block_floats + term.half * some.half * lanes;
    };
    float* dst =
        context.shared + static_cast<int64_t>(product) * factor_floats() + block * most_half_ * lanes;
    CombineArgs args{{at(left), at(right)}, {left.sign, right.sign}, 2, nullptr, dst, some.second * lanes};
    kernels_.combine(args);
    if (some.half == some.second) return;
    const auto only = [&](const Term& term) { return term.half == 0 ? term.sign : 0.f; };
    for (int64_t i = some.second * lanes; i < some.half * lanes; ++i) {
      dst[i] = 0;
      if (only(left) != 0) dst[i] += only(left) * args.src[0][i];
      if (only(right) != 0) dst[i] += only(right) * args.src[1][i];
    }
  });
}

// One group of each half of the output channels: all seven products.
void Strassen::multiply_group(const RunContext& context, const Pixels& some, size_t g, float* results) const {
  const int64_t lanes = kernels_.lanes;
  const OutputGroup& group = groups_[g];
  for (size_t p = 0; p < kProducts.size(); ++p) {
    const auto& [left, right] = kProducts[p].a;
    MatrixProduct product;
    product.channels = in_blocks_ * lanes;
    product.pixels = some.half;
    if (right.sign != 0) {
      product.src = context.shared + static_cast<int64_t>(p) * factor_floats();
      product.offsets = sum_offsets_.data();
    } else {  // a quarter as it is
      product.src = some.map + left.other * in_blocks_ * conv_.src.block_floats(kernels_.lanes) +
                    left.half * some.half * lanes;
      product.offsets = map_offsets_.data();
      if (left.half == 1) product.pixels = some.second;
    }
    product.weights = weights_.values().data() + static_cast<int64_t>(p) * product_weights_ + weights_at_[g];
    product.bias = zero_.values().data();
    product.dst_block = most_half_ * lanes;
    product.dst = results + static_cast<int64_t>(p) * result_floats();
    multiply(kernels_, group, product);
    // A pixel that the second half lacks.
    for (int v = 0; v < group.vectors(); ++v)
      std::fill(product.dst + v * product.dst_block + product.pixels * lanes,
                product.dst + v * product.dst_block + some.half * lanes, 0.f);
  }
}

void Strassen::combine_group(const RunContext& context, const Pixels& some, const OutputGroup& group,
                             const float* results) const {
  const int64_t lanes = kernels_.lanes;
  for (int64_t task = 0; task < int64_t{4} * group.vectors(); ++task) {
    const int64_t vector = task / 4;
    const int64_t pixel_half = task / 2 % 2;
    const int64_t out_half = task % 2;
    const int64_t out_block = out_half * out_blocks_ + group.first_block + vector;
    const int64_t pixels = pixel_half == 0 ? some.half : some.second;
    if (pixels == 0) continue;
    const TilePlace place{some.image, out_block, 1, some.first + pixel_half * some.half, pixels};
    CombineArgs args{};
    for (const Signed& term : kResults[static_cast<size_t>(pixel_half)][static_cast<size_t>(out_half)]) {
      if (term.sign == 0) continue;
      args.src[static_cast<size_t>(args.terms)] =
          results + term.product * result_floats() + vector * most_half_ * lanes;
      args.factors[static_cast<size_t>(args.terms++)] = term.sign;
    }
    args.bias = bias_.values().data() + out_block * lanes;
    args.dst = place.in(conv_.dst, context.write(conv_.dst), kernels_.lanes);
    args.count = pixels * lanes;
    kernels_.combine(args);
    finish_tile(context, conv_, place);
  }
}

}  // namespace

bool accepts_strassen(const ConvDescription& conv) {
  const int lanes = conv.kernels->lanes;
  return accepts_pointwise(conv) && conv.scattered.empty() && conv.src.channels >= kFewestChannels &&
         conv.dst.channels >= kFewestChannels && conv.src.channels % (2 * lanes) == 0 &&
         conv.dst.channels % (2 * lanes) == 0 && conv.dst.pixels() >= kFewestPixels;
}

StepPtr make_strassen(const ConvDescription& conv) {
  return std::make_unique<Strassen>(conv);
}

}  // namespace marrow::engine
