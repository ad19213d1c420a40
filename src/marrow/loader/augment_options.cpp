#include "marrow/loader/augment_options.h"

#include <algorithm>
#include <utility>

namespace marrow::loader {

AugmentSettings augment_settings_of(const train::TrainOptions& options, std::vector<int> flip_idx) {
  AugmentSettings settings;
  settings.mosaic = options.mosaic;
  settings.mixup = options.mixup;
  settings.cutmix = options.cutmix;
  settings.flipud = options.flipud;
  settings.fliplr = options.fliplr;
  settings.bgr = options.bgr;
  settings.copy_paste = options.copy_paste;
  settings.copy_paste_mode =
      options.copy_paste_mode == "mixup" ? CopyPasteMode::kMixup : CopyPasteMode::kFlip;
  settings.flip_idx = std::move(flip_idx);
  settings.perspective = {.degrees = options.degrees,
                          .translate = options.translate,
                          .zoom = train::zoom_range(options),
                          .shear = options.shear,
                          .perspective = options.perspective};
  settings.rules = rules_named(options.rules);
  settings.hsv = {.h = options.hsv_h, .s = options.hsv_s, .v = options.hsv_v};
  return settings;
}

ClassificationAugment classification_augment_of(const train::TrainOptions& options) {
  constexpr double kSmallestArea = 0.001;  // a crop of nothing shows nothing
  ClassificationAugment settings;
  settings.smallest_area = std::max(train::zoom_range(options).first, kSmallestArea);
  settings.fliplr = options.fliplr;
  settings.flipud = options.flipud;
  settings.policy = options.auto_augment == "randaugment"   ? AugmentPolicy::kRandAugment
                    : options.auto_augment == "autoaugment" ? AugmentPolicy::kAutoAugment
                    : options.auto_augment == "augmix"      ? AugmentPolicy::kAugMix
                                                            : AugmentPolicy::kNone;
  if (settings.policy == AugmentPolicy::kNone)
    settings.colours = image::HsvRange{.h = options.hsv_h, .s = options.hsv_s, .v = options.hsv_v};
  settings.erasing = options.erasing;
  settings.mixup = options.mixup;
  settings.cutmix = options.cutmix;
  settings.label_smoothing = options.label_smoothing;
  return settings;
}

}  // namespace marrow::loader
