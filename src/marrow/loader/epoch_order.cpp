#include "marrow/loader/epoch_order.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "marrow/base/random_key.h"

namespace marrow::loader {
namespace {

constexpr size_t kKeptEpochs = 3;  // the one before, this one, and the next, which is being prepared

std::vector<size_t> in_order(size_t count) {
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  return order;
}

}  // namespace

std::vector<size_t> shuffled_order(size_t count, uint64_t seed, int64_t epoch) {
  std::vector<size_t> order = in_order(count);
  shuffle(order, RandomKey{seed, epoch}.at("order"));
  return order;
}

EpochImages EpochImages::all(size_t count) {
  return {.always = in_order(count), .sometimes = {}, .drawn = 0};
}

std::vector<size_t> EpochImages::of_epoch(uint64_t seed, int64_t epoch) const {
  std::vector<size_t> images = always;
  if (drawn == 0) return images;
  std::vector<size_t> pool = sometimes;
  shuffle(pool, RandomKey{seed, epoch}.at("drawn images"));
  images.insert(images.end(), pool.begin(), pool.begin() + static_cast<std::ptrdiff_t>(drawn));
  return images;
}

size_t mosaic_window(size_t images, size_t batch) {
  constexpr size_t kBatches = 8, kLargest = 1000;
  return std::min({images, kBatches * batch, kLargest});
}

EpochOrder::EpochOrder(std::vector<size_t> fixed)
    : count_(fixed.size()), fixed_(std::make_shared<const std::vector<size_t>>(std::move(fixed))) {}

EpochOrder::Order EpochOrder::order(int64_t epoch) const {
  if (fixed_ != nullptr) return fixed_;
  const std::lock_guard lock(mutex_);
  Order& order = recent_epochs_[epoch];
  if (order == nullptr) {
    const std::vector<size_t> images = images_.of_epoch(seed_, epoch);
    std::vector<size_t> shuffled = shuffled_order(count_, seed_, epoch);
    for (size_t& place : shuffled) place = images[place];
    order = std::make_shared<const std::vector<size_t>>(std::move(shuffled));
  }
  const Order result = order;
  if (recent_epochs_.size() > kKeptEpochs) recent_epochs_.erase(recent_epochs_.begin());
  return result;
}

size_t EpochOrder::recent(int64_t epoch, size_t position, size_t window, Random& random) const {
  const size_t visited = epoch > 0 ? window : std::min(position + 1, window);
  const size_t back = random.below(visited);
  return back <= position ? at(epoch, position - back) : at(epoch - 1, count_ + position - back);
}

}  // namespace marrow::loader
