// Where a random choice of a training run stands: epoch, position in the epoch and place in the program name
// it, so that its outcome does not depend on the order of work, the number of threads or a resume.
#pragma once

#include <cstdint>
#include <string_view>

#include "marrow/base/random.h"

namespace marrow {

struct RandomKey {
  uint64_t seed = 0;
  int64_t epoch = 0;
  int64_t position = 0;  // of the image in the epoch's order; 0 for choices made once an epoch
  uint64_t branch = 0;   // see inner()

  // The draws of one place, say "mosaic": two places never share draws.
  Random at(std::string_view place) const {
    const uint64_t when = mix_bits(mix_bits(static_cast<uint64_t>(epoch)) ^ static_cast<uint64_t>(position));
    return {seed, mix_bits(when ^ branch) ^ stream_of(place)};
  }

  // For a part that is done again inside another one (the second sample of a mixup has a mosaic of its own):
  // the same places, other draws.
  RandomKey inner(std::string_view place) const {
    return {seed, epoch, position, mix_bits(branch ^ stream_of(place))};
  }
};

}  // namespace marrow
