// Which images of each batch a worker of several has: neighbours in the epoch's order. Those of all workers
// together are what one worker would have.
#pragma once

#include <algorithm>
#include <cstdint>

namespace marrow::loader {

struct BatchShare {
  int64_t worker = 0, workers = 1;

  // Of a batch of so many images: the first one, and how many; the latter may be 0.
  int64_t begin(int64_t images) const { return images * worker / workers; }
  int64_t count(int64_t images) const { return images * (worker + 1) / workers - begin(images); }

  // In an epoch of so many images, in batches of `batch`, of which the last may have fewer: those of a batch.
  struct Places {
    int64_t first = 0, count = 0;
  };
  Places places(int64_t images, int64_t batch, int64_t number) const {
    const int64_t before = number * batch, whole = std::min(batch, images - before);
    return {before + begin(whole), count(whole)};
  }
};

}  // namespace marrow::loader
