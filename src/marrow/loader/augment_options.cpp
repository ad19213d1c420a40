#include "loader/augment_options.h"

namespace marrow {

AugmentSettings augment_settings_of(const TrainOptions& options) {
  AugmentSettings settings;
  settings.mosaic = options.mosaic;
  settings.mixup = options.mixup;
  settings.cutmix = options.cutmix;
  settings.flipud = options.flipud;
  settings.fliplr = options.fliplr;
  settings.bgr = options.bgr;
  settings.copy_paste = options.copy_paste;
  settings.perspective = {.degrees = options.degrees,
                          .translate = options.translate,
                          .scale = options.scale,
                          .shear = options.shear,
                          .perspective = options.perspective};
  settings.hsv = {.h = options.hsv_h, .s = options.hsv_s, .v = options.hsv_v};
  return settings;
}

}  // namespace marrow
