// Steps that go plane by plane: one block of channels of one image.
#pragma once

#include <vector>

#include "marrow/graph/operation.h"
#include "marrow/train/native/steps/product_output.h"

namespace marrow::train::native {

// What it reads is aligned; its planes are those of the output, or of one pixel.
class PlaneStep : public Step {
 public:
  PlaneStep(std::vector<Reader> readers, int map, std::span<const Map> maps, int lanes);
  void forward(const Run& run) override;
  void backward(const Run& run) override;
  int64_t scratch_floats() const override;

 protected:
  // Pixels are vectors of `lanes` floats; planes lie apart.
  struct Plane {
    const Run& run;
    int64_t image, block;
    std::vector<const float*> in;
    const float* dy = nullptr;  // backward
    int64_t share = 0;
    float* own = nullptr;  // own_floats() more
  };
  virtual void compute(const Plane& plane, float* out) const = 0;
  // Fills the gradients of all inputs; those of pixels that nothing was made of are 0.
  virtual void differentiate(const Plane& plane, std::span<float* const> dx) = 0;
  virtual int64_t own_floats() const { return 0; }
  virtual bool reads_inputs_backward() const { return false; }
  virtual void begin_backward(const Run&, int64_t /*shares*/) {}
  virtual void end_backward(const Run&, int64_t /*shares*/) {}

  int64_t out_pixels() const { return out_height_ * out_width_; }

  int lanes_;
  int64_t out_height_, out_width_;

 private:
  int64_t planes_;  // blocks of all images
  int64_t blocks_;
  ProductOutput product_;
};

struct PlaneSetting {
  std::vector<Reader> readers;
  int map = 0;
  std::span<const Map> maps;
  int lanes = 0;
};
StepPtr make_copy(const PlaneSetting& setting);
StepPtr make_add(const PlaneSetting& setting);
// The second of equal shape, or of one pixel: a gate.
StepPtr make_product(const PlaneSetting& setting);
StepPtr make_max_pool(const PlaneSetting& setting, const MaxPool& op);
StepPtr make_adaptive_max_pool(const PlaneSetting& setting);
StepPtr make_global_average(const PlaneSetting& setting);
StepPtr make_upsample(const PlaneSetting& setting, const Upsample& op);
// `node`: the graph's, which the drawn mask depends on.
StepPtr make_drop_path(const PlaneSetting& setting, const DropPath& op, size_t node);
StepPtr make_scale(const PlaneSetting& setting, const ParameterPlace& weight);

}  // namespace marrow::train::native
