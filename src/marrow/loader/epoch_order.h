// In which order an epoch visits the images, and which of them a mosaic may be made of: functions of the seed
// and the place in the order alone, so that a resumed run goes on as if it had never stopped.
//
// Any thread may use one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "marrow/base/random.h"

namespace marrow::loader {

// 0..count-1, shuffled by seed and epoch.
std::vector<size_t> shuffled_order(size_t count, uint64_t seed, int64_t epoch);

// Which images an epoch has: always the same number.
struct EpochImages {
  std::vector<size_t> always;     // in every epoch
  std::vector<size_t> sometimes;  // `drawn` of these, others in every epoch
  size_t drawn = 0;

  static EpochImages all(size_t count);
  size_t count() const { return always.size() + drawn; }
  // Those of an epoch: a function of the seed and the epoch.
  std::vector<size_t> of_epoch(uint64_t seed, int64_t epoch) const;
};

// The images that the reference implementation still holds in its buffer: the last ones that were visited,
// across the border of epochs.
size_t mosaic_window(size_t images, size_t batch);  // min(images, 8 * batch, 1000)

class EpochOrder {
 public:
  // Shuffled anew every epoch.
  EpochOrder(EpochImages images, uint64_t seed)
      : images_(std::move(images)), count_(images_.count()), seed_(seed) {}
  // The same every epoch.
  explicit EpochOrder(std::vector<size_t> fixed);

  size_t count() const { return count_; }
  size_t at(int64_t epoch, size_t position) const { return (*order(epoch))[position]; }

  // One of the `window` images visited up to and with this position, each with the same chance; in the first
  // epoch there may be fewer.
  size_t recent(int64_t epoch, size_t position, size_t window, Random& random) const;

 private:
  using Order = std::shared_ptr<const std::vector<size_t>>;
  Order order(int64_t epoch) const;

  EpochImages images_;  // none: the order is fixed
  size_t count_;
  uint64_t seed_ = 0;
  Order fixed_;
  mutable std::mutex mutex_;
  mutable std::map<int64_t, Order> recent_epochs_;
};

}  // namespace marrow::loader
