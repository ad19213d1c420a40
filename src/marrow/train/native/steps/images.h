// Steps that take an image as a whole, in rows of channels (C, H, W): rare ones.
#pragma once

#include <vector>

#include "marrow/graph/operation.h"
#include "marrow/train/native/steps/product_output.h"

namespace marrow::train::native {

class ImageStep : public Step {
 public:
  ImageStep(const Reader& reader, int map, std::span<const Map> maps, int lanes,
            const ParameterPlace& bias = {});
  void forward(const Run& run) override;
  void backward(const Run& run) override;
  int64_t scratch_floats() const override;

 protected:
  // `own`: own_floats() more of scratch.
  virtual void compute(const Run& run, int64_t image, const float* in, float* own, float* out) const = 0;
  // Adds nothing to dx that it does not clear first.
  virtual void differentiate(const Run& run, int64_t share, int64_t image, const float* in, const float* dy,
                             float* own, float* dx) = 0;
  virtual int64_t own_floats() const { return 0; }
  virtual void begin_backward(int64_t /*shares*/) {}
  virtual void end_backward(int64_t /*shares*/) {}

  int64_t in_floats() const { return inputs[0].channels() * inputs[0].pixels(); }
  int64_t out_floats() const { return out_channels_ * out_height_ * out_width_; }
  int64_t images() const { return images_; }

  int64_t out_channels_, out_height_, out_width_;

 private:
  void prepare(const Run& run, int64_t image, float* blocks, float* rows) const;

  int lanes_;
  int64_t images_;
  ProductOutput product_;
};

StepPtr make_dropout(const Reader& reader, int map, std::span<const Map> maps, int lanes, const Dropout& op,
                     size_t node);
StepPtr make_attention(const Reader& reader, int map, std::span<const Map> maps, int lanes,
                       const Attention& op);
StepPtr make_conv_transpose(const Reader& reader, int map, std::span<const Map> maps, int lanes,
                            const ConvTranspose& op, const ParameterPlace& weight,
                            const ParameterPlace& bias);
// Channels that lie anywhere, or the pixels of a map one after the other, as a value in order.
StepPtr make_gather(const Reader& reader, int map, std::span<const Map> maps, int lanes);

}  // namespace marrow::train::native
