#include "marrow/train/native/steps/input.h"

#include <fmt/format.h>

#include <algorithm>

#include "marrow/base/error.h"

namespace marrow::train::native {
namespace {

// write(image, channel, pixel, value) for every value of a batch, as the network wants it.
template <class Pixel, class Write>
void for_values(const Input& op, const Tensor& images, int64_t image, const Write& write) {
  const int64_t channels = images.dim(1), pixels = images.dim(2) * images.dim(3);
  const bool ready = images.dtype() == DType::kFloat32, colour = op.channels == 3 && !ready;
  for (int64_t c = 0; c < channels; ++c) {
    const int64_t from = colour && op.format.order == ChannelOrder::kBgr ? 2 - c : c;
    const Pixel* src = images.values<Pixel>().data() + (image * channels + from) * pixels;
    const auto scale = static_cast<float>(op.format.scale);
    const auto i = static_cast<size_t>(colour ? c : 0);
    const float mean = colour ? static_cast<float>(op.format.mean[i]) : 0;
    const float deviation = colour ? static_cast<float>(op.format.std[i]) : 1;
    for (int64_t p = 0; p < pixels; ++p) {
      const auto value = static_cast<float>(src[p]);
      write(c, p, ready ? value : (value * scale - mean) / deviation);
    }
  }
}

void check_type(const Tensor& images) {
  const DType type = images.dtype();
  if (type != DType::kFloat32 && type != DType::kUInt8 && type != DType::kInt32)
    throw Error(ErrorKind::kShape,
                fmt::format("images of a batch are uint8, int32 or float32, not {}", dtype_name(type)));
}

// Of a type that check_type() takes.
template <class Write>
void for_values_of(const Input& op, const Tensor& images, int64_t image, const Write& write) {
  switch (images.dtype()) {
    case DType::kFloat32:
      return for_values<float>(op, images, image, write);
    case DType::kUInt8:
      return for_values<uint8_t>(op, images, image, write);
    default:
      return for_values<int32_t>(op, images, image, write);
  }
}

class InputStep final : public Step {
 public:
  InputStep(const Input& op, size_t index, int map) : op_(op), index_(index) { output = map; }

  void forward(const Run& run) override {
    const Map& map = run.maps[static_cast<size_t>(output)];
    const Tensor& values = run.inputs[index_];
    const int lanes = run.lanes();
    check_type(values);  // threads of the pool must not throw
    run.for_chunks(map.images, map.images, [&](int64_t image, int64_t, int) {
      float* dst = map.value + image * map.image_floats(lanes);
      std::fill_n(dst, map.image_floats(lanes), 0.0F);
      for_values_of(op_, values, image, [&](int64_t c, int64_t p, float value) {
        dst[(c / lanes * map.pixels() + p) * lanes + c % lanes] = value;
      });
    });
  }
  void backward(const Run&) override {}
  std::string kind() const override { return "input"; }

 private:
  Input op_;
  size_t index_;  // of what the batch brings
};

}  // namespace

Tensor ready_images(const Input& op, const Tensor& images) {
  check_type(images);
  Tensor ready(images.shape());
  const int64_t channels = images.dim(1), pixels = images.dim(2) * images.dim(3);
  float* dst = ready.values().data();
  for (int64_t image = 0; image < images.dim(0); ++image)
    for_values_of(op, images, image, [&](int64_t c, int64_t p, float value) {
      dst[(image * channels + c) * pixels + p] = value;
    });
  return ready;
}

StepPtr make_input(const Input& op, int map) {
  return std::make_unique<InputStep>(op, 0, map);
}

// Float32 is taken as it is, whatever an input node says.
StepPtr make_given(size_t index, int map) {
  return std::make_unique<InputStep>(Input(), index, map);
}

}  // namespace marrow::train::native
