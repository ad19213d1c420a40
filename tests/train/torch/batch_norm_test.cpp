#include "marrow/train/torch/batch_norm.h"

#include <gtest/gtest.h>

namespace marrow::train {
namespace {

torch::Tensor draw(std::vector<int64_t> shape) {
  return torch::randn(shape, torch::kFloat32);
}

double worst(const torch::Tensor& a, const torch::Tensor& b) {
  return (a.to(torch::kFloat64) - b.to(torch::kFloat64)).abs().max().item<double>();
}

struct Case {
  torch::Tensor x, scale, shift, direction;
  explicit Case(const std::vector<int64_t>& shape) {
    torch::manual_seed(3);
    const int64_t channels = shape[1];
    x = (draw(shape) * 2 + 5).contiguous(torch::MemoryFormat::ChannelsLast).requires_grad_();
    scale = (draw({channels}) + 1).requires_grad_();
    shift = draw({channels}).requires_grad_();
    direction = draw(shape);
  }
};

// Odd sizes, one channel, two values a channel, several blocks of rows.
TEST(BatchNorm, EqualsTheCompositionInFloat64) {
  for (const std::vector<int64_t>& shape :
       {std::vector<int64_t>{2, 1, 1, 1}, {1, 3, 1, 2}, {3, 7, 5, 3}, {2, 33, 17, 15}, {4, 16, 40, 40}}) {
    SCOPED_TRACE(::testing::PrintToString(shape));
    Case c(shape);
    torch::Tensor mean = torch::full({shape[1]}, 0.5), variance = torch::full({shape[1]}, 2.0);
    const torch::Tensor y = batch_norm_channels_last(c.x, c.scale, c.shift, {mean, variance, 0.03}, 1e-3);
    (y * c.direction).sum().backward();

    const auto wide = [](const torch::Tensor& t) { return t.detach().to(torch::kFloat64).requires_grad_(); };
    const torch::Tensor x = wide(c.x), scale = wide(c.scale), shift = wide(c.shift);
    const torch::Tensor wide_mean = torch::full({shape[1]}, 0.5, torch::kFloat64),
                        wide_variance = torch::full({shape[1]}, 2.0, torch::kFloat64);
    const torch::Tensor wanted =
        at::batch_norm(x, scale, shift, wide_mean, wide_variance, true, 0.03, 1e-3, false);
    (wanted * c.direction.to(torch::kFloat64)).sum().backward();

    // Rounding to float32 of values up to 10, times 1 / sqrt(eps) where two values nearly agree.
    EXPECT_LT(worst(y, wanted), 2e-5);
    EXPECT_LT(worst(mean, wide_mean), 1e-6);
    EXPECT_LT(worst(variance, wide_variance), 1e-6);
    const auto tolerance = [](const torch::Tensor& t) { return 1e-5 * (1 + t.abs().max().item<double>()); };
    EXPECT_LT(worst(c.x.grad(), x.grad()), tolerance(x.grad()));
    EXPECT_LT(worst(c.scale.grad(), scale.grad()), tolerance(scale.grad()));
    EXPECT_LT(worst(c.shift.grad(), shift.grad()), tolerance(shift.grad()));
  }
}

TEST(BatchNorm, SumsALargeMeanExactly) {
  Case c({16, 4, 64, 64});
  const torch::Tensor x = (c.x.detach() * 1e-3 + 100);
  const torch::Tensor y = batch_norm_channels_last(x, torch::ones({4}), torch::zeros({4}), {}, 1e-12);
  // Float32 sums of 65,536 hundreds would be off by more than the deviation of 0.002.
  EXPECT_LT(y.mean({0, 2, 3}).abs().max().item<double>(), 1e-2);
  EXPECT_NEAR(y.square().mean().item<double>(), 1, 1e-2);
}

TEST(BatchNorm, IsTheSameToTheBitForAnyNumberOfThreads) {
  const int before = torch::get_num_threads();
  std::vector<torch::Tensor> results;
  for (const int threads : {1, 2, 3}) {
    torch::set_num_threads(threads);
    Case c({4, 24, 33, 31});
    const torch::Tensor y = batch_norm_channels_last(c.x, c.scale, c.shift, {}, 1e-5);
    (y * c.direction).sum().backward();
    results.push_back(torch::cat({y.detach().flatten(), c.x.grad().flatten(), c.scale.grad()}));
  }
  torch::set_num_threads(before);
  EXPECT_TRUE(torch::equal(results[0], results[1]));
  EXPECT_TRUE(torch::equal(results[0], results[2]));
}

TEST(BatchNorm, TakesMapsOfAnyLayout) {
  Case c({2, 5, 6, 7});
  const torch::Tensor last = batch_norm_channels_last(c.x, c.scale, c.shift, {}, 1e-5);
  const torch::Tensor first = batch_norm_channels_last(c.x.contiguous(), c.scale, c.shift, {}, 1e-5);
  EXPECT_TRUE(torch::equal(last, first));
  EXPECT_TRUE(first.is_contiguous(torch::MemoryFormat::ChannelsLast));
}

}  // namespace
}  // namespace marrow::train
