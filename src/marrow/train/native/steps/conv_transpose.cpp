// Transposed convolution as a product of matrices: with columns q = (output channel, ky, kx) and pixels p of
// the input, t[q][p] = sum over c of w[c][q] x[c][p] is what input pixel p adds to the output pixel that q
// says.
#include <algorithm>

#include "marrow/train/native/steps/images.h"
#include "marrow/train/step/matrix_multiply.h"

namespace marrow::train::native {
namespace {

class ConvTransposeImages final : public ImageStep {
 public:
  ConvTransposeImages(const Reader& reader, int map, std::span<const Map> maps, int lanes,
                      const ConvTranspose& op, const ParameterPlace& weight, const ParameterPlace& bias)
      : ImageStep(reader, map, maps, lanes, bias),
        op_(op),
        weight_(weight),
        channels_(reader.channels()),
        pixels_(reader.pixels()),
        columns_(out_channels_ * op.kernel * op.kernel) {}

  std::string kind() const override { return "transposed"; }
  double macs() const override {
    return static_cast<double>(images() * channels_ * columns_) * static_cast<double>(pixels_);
  }

 private:
  int64_t weight_floats() const { return channels_ * columns_; }
  int64_t own_floats() const override {
    return columns_ * pixels_ + weight_floats() + std::max({channels_, columns_, pixels_}) * kPanelColumns;
  }
  struct Own {
    float* terms;   // t, (columns, pixels)
    float* matrix;  // of the weights' size
    float* panel;
  };
  Own own_of(float* own) const {
    float* matrix = own + columns_ * pixels_;
    return {own, matrix, matrix + weight_floats()};
  }

  // use(of t, of the output, count) for all terms that lie on the output: `count` of them are neighbours in
  // t, and op_.stride apart in the output.
  template <class Use>
  void each_run(const Use& use) const {
    const int64_t height = inputs[0].height(), width = inputs[0].width(), k = op_.kernel, s = op_.stride;
    for (int64_t q = 0; q < columns_; ++q) {
      const int64_t o = q / (k * k), ky = q / k % k - op_.padding, kx = q % k - op_.padding;
      // 0 <= x s + kx < out_width
      const int64_t begin = kx < 0 ? (-kx + s - 1) / s : 0;
      const int64_t end = std::min(width, (out_width_ - kx + s - 1) / s);
      for (int64_t y = 0; y < height && begin < end; ++y)
        if (const int64_t oy = y * s + ky; oy >= 0 && oy < out_height_)
          use(q * pixels_ + y * width + begin, (o * out_height_ + oy) * out_width_ + begin * s + kx,
              end - begin);
    }
  }

  void compute(const Run& run, int64_t, const float* in, float* own, float* out) const override {
    const auto [terms, turned, panel] = own_of(own);
    for (int64_t q = 0; q < columns_; ++q)
      for (int64_t c = 0; c < channels_; ++c) turned[q * channels_ + c] = weight_.value[c * columns_ + q];
    matrix_multiply(run.kernels->level)({columns_, channels_, pixels_}, turned, {in, pixels_, 1}, panel,
                                        terms);
    std::fill_n(out, out_floats(), 0.0F);
    each_run([&, t = terms](int64_t from, int64_t to, int64_t count) {
      for (int64_t i = 0; i < count; ++i) out[to + i * op_.stride] += t[from + i];
    });
  }

  void begin_backward(int64_t shares) override {
    acc_.assign(static_cast<size_t>(shares * weight_floats()), 0);
  }
  void differentiate(const Run& run, int64_t share, int64_t, const float* in, const float* dy, float* own,
                     float* dx) override {
    const auto [terms, product, panel] = own_of(own);
    std::fill_n(terms, columns_ * pixels_, 0.0F);
    each_run([&, t = terms](int64_t from, int64_t to, int64_t count) {
      for (int64_t i = 0; i < count; ++i) t[from + i] = dy[to + i * op_.stride];
    });
    const MatrixMultiply multiply = matrix_multiply(run.kernels->level);
    multiply({channels_, columns_, pixels_}, weight_.value, {terms, pixels_, 1}, panel, dx);
    if (weight_.gradient == nullptr) return;
    multiply({channels_, pixels_, columns_}, in, {terms, 1, pixels_}, panel, product);
    double* acc = acc_.data() + share * weight_floats();
    for (int64_t w = 0; w < weight_floats(); ++w) acc[w] += double{product[w]};
  }
  void end_backward(int64_t shares) override {
    if (weight_.gradient == nullptr) return;
    for (int64_t w = 0; w < weight_floats(); ++w) {
      double sum = 0;
      for (int64_t share = 0; share < shares; ++share)
        sum += acc_[static_cast<size_t>(share * weight_floats() + w)];
      weight_.gradient[w] += static_cast<float>(sum);
    }
  }

  ConvTranspose op_;
  ParameterPlace weight_;
  int64_t channels_, pixels_, columns_;
  std::vector<double> acc_;
};

}  // namespace

StepPtr make_conv_transpose(const Reader& reader, int map, std::span<const Map> maps, int lanes,
                            const ConvTranspose& op, const ParameterPlace& weight,
                            const ParameterPlace& bias) {
  return std::make_unique<ConvTransposeImages>(reader, map, maps, lanes, op, weight, bias);
}

}  // namespace marrow::train::native
