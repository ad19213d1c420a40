#include "marrow/loader/augment/pipeline.h"

#include <array>
#include <cassert>
#include <cmath>

#include "marrow/loader/augment/blend.h"
#include "marrow/loader/augment/copy_paste.h"
#include "marrow/loader/augment/flip.h"
#include "marrow/loader/augment/mosaic.h"

namespace marrow::loader {
namespace {

// Draws even where the probability is 0 or 1: places stay apart, so nothing else changes with it.
bool happens(double probability, const RandomKey& key, std::string_view place) {
  return key.at(place).uniform() < probability;
}

// What a mixup joins two of: mosaic, copied objects, perspective.
Sample base_sample(const AugmentSettings& settings, const RandomKey& key, size_t index, Size target,
                   const SampleSource& source) {
  Random perspective = key.at("perspective");
  const PerspectiveDraws draws = draw_perspective(settings.perspective, perspective);
  if (happens(settings.mosaic, key, "mosaic")) {
    assert(target.width == target.height && target.width % 2 == 0);
    Random partners = key.at("mosaic partners");
    std::array<SharedSample, 4> tiles;
    tiles[0] = source.load(index);
    for (size_t i = 1; i < tiles.size(); ++i) tiles[i] = source.load(source.partner(partners));
    Random centre = key.at("mosaic centre");
    Sample sample = mosaic(tiles, target.width, draw_mosaic_centre(target.width, centre));
    if (settings.copy_paste > 0 && settings.copy_paste_mode == CopyPasteMode::kFlip)
      copy_paste_mirrored(sample, settings.copy_paste);
    return random_perspective(sample, draws, target);
  }
  SharedSample loaded = source.load(index);
  if (settings.copy_paste > 0 && settings.copy_paste_mode == CopyPasteMode::kFlip) {
    Sample pasted{*loaded.image, std::move(loaded.objects), std::move(loaded.ignored), loaded.task};
    copy_paste_mirrored(pasted, settings.copy_paste);
    loaded = {std::make_shared<const image::Image>(std::move(pasted.image)), std::move(pasted.objects),
              std::move(pasted.ignored), pasted.task};
  }
  if (settings.rules == Rules::k83)
    return random_perspective(letterbox_sample(loaded, target, true), draws, target);
  return random_perspective(
      {*loaded.image, std::move(loaded.objects), std::move(loaded.ignored), loaded.task}, draws, target);
}

Sample partner_sample(const AugmentSettings& settings, const RandomKey& key, Size target,
                      const SampleSource& source) {
  Random partner = key.at("partner");
  return base_sample(settings, key, source.partner(partner), target, source);
}

}  // namespace

AugmentSettings AugmentSettings::without_joining() const {
  AugmentSettings settings = *this;
  settings.mosaic = settings.mixup = settings.cutmix = settings.copy_paste = 0;
  return settings;
}

bool AugmentSettings::forbid_flips_without_indices(Task task) {
  if (task != Task::kPose || !flip_idx.empty() || (flipud == 0 && fliplr == 0)) return false;
  flipud = fliplr = 0;
  return true;
}

AugmentSettings AugmentSettings::none() {
  AugmentSettings settings;
  settings.mosaic = settings.fliplr = 0;
  settings.perspective = {.degrees = 0, .translate = 0, .zoom = {1, 1}, .shear = 0, .perspective = 0};
  settings.hsv = {0, 0, 0};
  return settings;
}

AugmentedSample augment(const AugmentSettings& settings, const RandomKey& key, size_t index, Size target,
                        const SampleSource& source) {
  Sample sample = base_sample(settings, key, index, target, source);
  if (settings.copy_paste_mode == CopyPasteMode::kMixup && happens(settings.copy_paste, key, "copy paste")) {
    const RandomKey inner = key.inner("copy paste");
    copy_paste_from(partner_sample(settings, inner, target, source), sample, settings.copy_paste);
  }
  if (happens(settings.mixup, key, "mixup")) {
    const RandomKey inner = key.inner("mixup");
    Random share = inner.at("share");
    mixup(sample, partner_sample(settings, inner, target, source), draw_beta(kMixupBeta, kMixupBeta, share));
  }
  if (happens(settings.cutmix, key, "cutmix")) {
    const RandomKey inner = key.inner("cutmix");
    Random rectangles = inner.at("rectangles");
    cutmix(sample, partner_sample(settings, inner, target, source),
           draw_cutmix_rectangles(target, rectangles));
  }
  Random hsv = key.at("hsv");
  image::adjust_hsv(sample.image, image::draw_hsv(settings.hsv, hsv));
  if (happens(settings.flipud, key, "flipud")) flip_vertically(sample, settings.flip_idx);
  if (happens(settings.fliplr, key, "fliplr")) flip_horizontally(sample, settings.flip_idx);
  return {std::move(sample), happens(settings.bgr, key, "bgr")};
}

}  // namespace marrow::loader
