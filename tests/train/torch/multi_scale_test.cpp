// The resizing of multi_scale's batches against LibTorch's.
#include "marrow/train/multi_scale.h"

#include <gtest/gtest.h>

#include "marrow/base/random.h"
#include "marrow/train/torch/torch.h"

namespace marrow::train {
namespace {

constexpr double kLargestDifference = 1e-6;  // of numbers up to 3

template <class T>
Tensor samples(const Shape& shape, DType dtype, uint64_t below) {
  Tensor tensor(shape, dtype);
  Random random(3, "samples");
  for (T& value : tensor.values<T>()) value = static_cast<T>(random.below(below));
  return tensor;
}

// The formula as LibTorch has it.
torch::Tensor wanted(const Tensor& images, const InputFormat& format, int64_t height, int64_t width) {
  torch::Tensor pixels = at::upsample_bilinear2d(to_torch(images).to(torch::kFloat32), {height, width},
                                                 /*align_corners=*/false);
  if (images.dim(1) != 3) return pixels * format.scale;
  if (format.order == ChannelOrder::kBgr) pixels = pixels.flip(1);
  const auto per_channel = [&](const std::array<double, 3>& values) {
    return torch::tensor({values[0], values[1], values[2]}, pixels.options()).view({1, 3, 1, 1});
  };
  return (pixels * format.scale - per_channel(format.mean)) / per_channel(format.std);
}

void expect_as_torch(const Tensor& images, const InputFormat& format, int size, int64_t height,
                     int64_t width) {
  SCOPED_TRACE(to_string(images.shape()) + " to " + std::to_string(size));
  cpu::ThreadPool threads(3);
  const Tensor resized = resize_batch(images, format, size, 32, threads);
  ASSERT_EQ(resized.shape(), (Shape{images.dim(0), images.dim(1), height, width}));
  ASSERT_EQ(resized.dtype(), DType::kFloat32);
  const torch::Tensor difference = to_torch(resized) - wanted(images, format, height, width);
  EXPECT_LT(difference.abs().max().item<double>(), kLargestDifference);
}

TEST(ResizeBatch, IsLibTorchsBilinear) {
  const Tensor wide = samples<uint8_t>({2, 3, 96, 128}, DType::kUInt8, 256);
  expect_as_torch(wide, {}, 192, 160, 192);  // 144 is no multiple of 32
  expect_as_torch(wide, {}, 160, 128, 160);
  expect_as_torch(wide, {}, 64, 64, 64);
  expect_as_torch(wide, {}, 32, 32, 32);
  expect_as_torch(samples<uint8_t>({1, 3, 32, 32}, DType::kUInt8, 256), {}, 640, 640, 640);
}

TEST(ResizeBatch, LeavesSamplesAsTheNetworkWantsThem) {
  InputFormat format;
  format.order = ChannelOrder::kBgr;
  format.mean = {0.485, 0.456, 0.406};
  format.std = {0.229, 0.224, 0.225};
  expect_as_torch(samples<uint8_t>({2, 3, 64, 96}, DType::kUInt8, 256), format, 128, 96, 128);
  expect_as_torch(samples<uint8_t>({2, 1, 64, 96}, DType::kUInt8, 256), {}, 128, 96, 128);
  InputFormat wide;
  set_range(wide, {});
  expect_as_torch(samples<int32_t>({2, 4, 64, 64}, DType::kInt32, 65536), wide, 96, 96, 96);
}

TEST(ResizeBatch, LeavesABatchOfTheSizeAsItIs) {
  cpu::ThreadPool threads(1);
  const Tensor images = samples<uint8_t>({1, 3, 64, 96}, DType::kUInt8, 256);
  EXPECT_EQ(resize_batch(images, {}, 96, 32, threads).bytes(), images.bytes());
}

}  // namespace
}  // namespace marrow::train
