// The training pipeline of a detector: from an image's number to the sample that the network sees.
//
// Every draw is keyed by (seed, epoch, position, place), so the result is the same on any thread and in any
// order.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "marrow/base/random_key.h"
#include "marrow/base/rules.h"
#include "marrow/geometry/size.h"
#include "marrow/image/hsv.h"
#include "marrow/loader/augment/perspective.h"
#include "marrow/loader/augment/sample.h"

namespace marrow::loader {

// Where copied objects come from: the mirrored image, or another one.
enum class CopyPasteMode { kFlip, kMixup };

// Named and preset as the training flags.
struct AugmentSettings {
  double mosaic = 1.0;  // probabilities, from here
  double mixup = 0.0;
  double cutmix = 0.0;
  double flipud = 0.0;
  double fliplr = 0.5;
  double bgr = 0.0;  // blue and red change places; to here
  // Share of the outlined objects that are copied; kMixup: also the probability that any are.
  double copy_paste = 0.0;
  CopyPasteMode copy_paste_mode = CopyPasteMode::kFlip;
  std::vector<int> flip_idx;  // of keypoints, see flip.h
  PerspectiveRange perspective;
  image::HsvRange hsv;
  // 8.3 letterboxes an image that is in no mosaic before it warps it; 8.4 warps it as it is, about its
  // middle.
  Rules rules = kDefaultRules;

  // For the last epochs, and for rectangular batches: no mosaic and nothing else that joins images.
  AugmentSettings without_joining() const;
  // Mirrored, a left hand is a right one: where nothing says which keypoints change places, poses are never
  // mirrored. Whether that changed anything.
  bool forbid_flips_without_indices(Task task);
  // No change at all but the letterbox.
  static AugmentSettings none();
};

// Where the pipeline finds images. Both functions must depend on their arguments alone; any thread calls
// them.
struct SampleSource {
  std::function<SharedSample(size_t index)> load;  // longer side = image size
  std::function<size_t(Random& random)> partner;   // for mosaic, mixup, cutmix
};

struct AugmentedSample {
  Sample sample;          // `target` pixels
  bool keep_bgr = false;  // for to_planes
};

// target: square and even when settings.mosaic > 0.
AugmentedSample augment(const AugmentSettings& settings, const RandomKey& key, size_t index, Size target,
                        const SampleSource& source);

}  // namespace marrow::loader
