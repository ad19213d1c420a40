// A batch norm of a training step: its numbers a channel, as kernels read them.
//
//   n = gamma (y - mean) / sqrt(var + eps) + beta = scale y + shift
//   dy = gamma r (dn - sum(dn) / m - (y - mean) r^2 sum(dn (y - mean)) / m),   r = 1 / sqrt(var + eps)
//      = factor dn + slope (y - centre) + offset
// over the m values of a channel in the batch. Source: Ioffe and Szegedy 2015, algorithm 1. With other
// workers the batch is that of all: the moments and both sums are added up over them, the gradients of gamma
// and beta are this worker's share.
#pragma once

#include <cstdint>
#include <vector>

#include "marrow/base/tensor.h"
#include "marrow/graph/operation.h"
#include "marrow/train/step/workers.h"

namespace marrow::train::native {

// A parameter in the flat buffers; gradient is nullptr where it is not trained.
struct ParameterPlace {
  float* value = nullptr;
  float* gradient = nullptr;
};

struct NormPlaces {
  ParameterPlace gamma, beta;
  float *running_mean = nullptr, *running_var = nullptr;
  int64_t* counter = nullptr;  // may be absent
  bool fixed = false;          // normalises by the running statistics
  Workers* workers = nullptr;  // whose batches count, too
};

// Mean and squared deviations of so many values, a channel.
struct Moments {
  double count = 0;
  std::vector<double> mean, squares;

  void reset(size_t channels);
  // Chan, Golub and LeVeque 1979: as if all values had been seen together.
  void merge(double more, const double* other_mean, const double* other_squares, size_t first,
             size_t channels);
};

class Norm {
 public:
  Norm(const BatchNorm& op, const NormPlaces& places, int channels, int lanes);
  // The identity, of maps that have none.
  explicit Norm(int lanes);

  bool fixed() const { return places_.fixed; }
  bool trains() const { return places_.gamma.gradient != nullptr || places_.beta.gradient != nullptr; }

  // Before the forward pass; a norm that is fixed is settled by it.
  void begin();
  // By the moments of all images at hand, and of the other workers'. `moves`: the running statistics, too.
  void settle(const Moments& moments, bool moves);
  // Where there are no images at hand: the part of one who has none in the other workers' sums.
  void settle_without_images(bool moves);

  struct Lanes {
    const float *scale, *shift, *centre;
    const float *factor, *slope, *offset;
  };
  // Of a block. A channel beyond the last has zeros.
  Lanes lanes(int64_t block, int lanes) const;

  // Sums over dn and dn (y - centre), from all readers in order; then the gradients of gamma and beta and
  // what dy is made of.
  void add_sums(int64_t block, int lanes, const double* sums, const double* products);
  void settle_gradient();

 private:
  void set_scale(size_t channel, double mean, double inverse);
  Moments over_all_workers(const Moments& own) const;
  void settle_by(const Moments& moments, bool moves);

  double eps_ = 0, momentum_ = 0;
  NormPlaces places_;
  size_t channels_ = 0;
  bool identity_ = false;
  double count_ = 0;
  std::vector<double> mean_, inverse_;                                   // of the batch; 1 / sqrt(var + eps)
  std::vector<double> sums_, products_;                                  // whole blocks
  std::vector<float> scale_, shift_, centre_, factor_, slope_, offset_;  // whole blocks
};

}  // namespace marrow::train::native
