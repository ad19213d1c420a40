#include "marrow/train/torch/batch_norm.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "marrow/train/torch/batch_norm_rows.h"

namespace marrow::train {
namespace {

// Sums over rows are made in blocks of so many, added up in order.
constexpr int64_t kBlockRows = 512;

// Calls work(first, rows) for blocks of rows.
template <typename Work>
void for_blocks(int64_t rows, const Work& work) {
  const int64_t blocks = (rows + kBlockRows - 1) / kBlockRows;
  at::parallel_for(0, blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block)
      work(block * kBlockRows, std::min(kBlockRows, rows - block * kBlockRows));
  });
}

struct Sums {
  std::vector<double> a, ab;  // (C)
};

Sums sum_products(const BatchNormRows& loops, const float* a, const float* b, int64_t rows,
                  int64_t channels) {
  const int64_t blocks = (rows + kBlockRows - 1) / kBlockRows;
  std::vector<double> parts(static_cast<size_t>(blocks * 2 * channels), 0);
  for_blocks(rows, [&](int64_t first, int64_t count) {
    double* part = parts.data() + first / kBlockRows * 2 * channels;
    loops.add_products(a + first * channels, b + first * channels, count, channels, part, part + channels);
  });
  Sums sums{std::vector<double>(static_cast<size_t>(channels), 0),
            std::vector<double>(static_cast<size_t>(channels), 0)};
  for (int64_t block = 0; block < blocks; ++block)
    for (int64_t c = 0; c < channels; ++c) {
      const double* part = parts.data() + block * 2 * channels;
      sums.a[static_cast<size_t>(c)] += part[c];
      sums.ab[static_cast<size_t>(c)] += part[channels + c];
    }
  return sums;
}

void move(const torch::Tensor& running, const torch::Tensor& batch, double momentum) {
  if (!running.defined()) return;
  auto* values = running.data_ptr<float>();
  const auto* latest = batch.data_ptr<double>();
  for (int64_t c = 0; c < running.numel(); ++c)
    values[c] = static_cast<float>((1 - momentum) * values[c] + momentum * latest[c]);
}

class BatchNormFunction : public torch::autograd::Function<BatchNormFunction> {
 public:
  // `running` stands apart from the tensors, which must all be defined.
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& input,
                               const torch::Tensor& scale, const torch::Tensor& shift,
                               const RunningStatistics& running, double eps) {
    const torch::Tensor x = input.contiguous(torch::MemoryFormat::ChannelsLast);
    const int64_t channels = x.size(1), rows = x.numel() / std::max<int64_t>(channels, 1);
    const auto* values = x.data_ptr<float>();
    const BatchNormRows loops = batch_norm_rows();
    const Sums sums = sum_products(loops, values, values, rows, channels);
    const auto count = static_cast<double>(rows);
    torch::Tensor mean = torch::empty({channels}, torch::kFloat64), deviation = torch::empty_like(mean),
                  unbiased = torch::empty_like(mean);  // deviation: 1 / sqrt(variance + eps)
    std::vector<float> factor(static_cast<size_t>(channels)), offset(factor.size());
    const torch::Tensor gain = scale.contiguous(), bias = shift.contiguous();
    for (int64_t c = 0; c < channels; ++c) {
      const auto i = static_cast<size_t>(c);
      const double m = sums.a[i] / count;
      const double squares = std::max(sums.ab[i] - sums.a[i] * m, 0.0);
      const double inverse = 1 / std::sqrt(squares / count + eps);
      mean.data_ptr<double>()[c] = m;
      deviation.data_ptr<double>()[c] = inverse;
      unbiased.data_ptr<double>()[c] = squares / (count - 1);
      const double f = inverse * gain.data_ptr<float>()[c];
      factor[i] = static_cast<float>(f);
      offset[i] = static_cast<float>(bias.data_ptr<float>()[c] - m * f);
    }
    move(running.mean, mean, running.momentum);
    move(running.variance, unbiased, running.momentum);
    torch::Tensor y = torch::empty_like(x);
    auto* out = y.data_ptr<float>();
    for_blocks(rows, [&](int64_t first, int64_t block) {
      loops.scale_and_shift(values + first * channels, block, channels, factor.data(), offset.data(),
                            out + first * channels);
    });
    context->save_for_backward({x, gain, mean, deviation});
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const torch::Tensor &x = saved[0], &gain = saved[1], &mean = saved[2], &deviation = saved[3];
    const torch::Tensor dy = gradients[0].contiguous(torch::MemoryFormat::ChannelsLast);
    const int64_t channels = x.size(1), rows = x.numel() / std::max<int64_t>(channels, 1);
    const auto *values = x.data_ptr<float>(), *slopes = dy.data_ptr<float>();
    const BatchNormRows loops = batch_norm_rows();
    const Sums sums = sum_products(loops, slopes, values, rows, channels);
    const auto count = static_cast<double>(rows);
    torch::Tensor d_scale = torch::empty_like(gain), d_shift = torch::empty_like(gain);
    std::vector<float> centre(static_cast<size_t>(channels)), mean_dy(centre.size()), slope(centre.size()),
        factor(centre.size());
    for (int64_t c = 0; c < channels; ++c) {
      const auto i = static_cast<size_t>(c);
      const double m = mean.data_ptr<double>()[c], inverse = deviation.data_ptr<double>()[c];
      const double along = (sums.ab[i] - m * sums.a[i]) * inverse;  // sum of dy (x - mean) / deviation
      d_scale.data_ptr<float>()[c] = static_cast<float>(along);
      d_shift.data_ptr<float>()[c] = static_cast<float>(sums.a[i]);
      centre[i] = static_cast<float>(m);
      mean_dy[i] = static_cast<float>(sums.a[i] / count);
      slope[i] = static_cast<float>(along * inverse / count);
      factor[i] = static_cast<float>(inverse * gain.data_ptr<float>()[c]);
    }
    torch::Tensor dx = torch::empty_like(x);
    auto* out = dx.data_ptr<float>();
    for_blocks(rows, [&](int64_t first, int64_t block) {
      const int64_t at = first * channels;
      loops.input_gradient(values + at, slopes + at, block, channels, centre.data(), mean_dy.data(),
                           slope.data(), factor.data(), out + at);
    });
    return {dx, d_scale, d_shift, {}, {}};
  }
};

}  // namespace

torch::Tensor batch_norm_channels_last(const torch::Tensor& x, const torch::Tensor& scale,
                                       const torch::Tensor& shift, const RunningStatistics& running,
                                       double eps) {
  return BatchNormFunction::apply(x, scale, shift, running, eps);
}

}  // namespace marrow::train
