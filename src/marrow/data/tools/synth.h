// A small dataset that the program draws itself: flat shapes on textured, noisy ground. It is what the
// demonstration and tests train on, on machines without any image; it needs no licence and no download.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "marrow/data/labels.h"
#include "marrow/image/image.h"

namespace marrow::data {

// disc, square, triangle, star, ring, cross
const std::vector<std::string>& synth_classes();

// What can be drawn.
inline constexpr int kMostSynthImages = 1'000'000, kMostSynthObjects = 100;
inline constexpr int kSmallestSynthSide = 32, kLargestSynthSide = 4096;  // pixels
inline constexpr double kMostValShare = 0.9;

struct SynthOptions {
  int images = 400;
  double val_share = 0.2;  // of the images; at least one, where there are two
  int image_size = 320;    // pixels, the longer side; images are square, wide or tall
  int objects = 8;         // at most, an image
  std::vector<std::string> classes = synth_classes();  // of synth_classes()
  SampleFormat samples;  // what is drawn in three channels of 8 bits is written as image::stand_in() has it
  // What labels hold beside boxes: the outline of what is seen, holes and parts included; five keypoints; the
  // corners of a box that is turned with the shape. For poses shapes nearly stand upright, for turned boxes
  // they are longer than wide.
  Task task = Task::kDetect;
  uint64_t seed = 0;
  int threads = 0;
  std::function<void(int64_t done, int64_t total)> progress;
};

// Classes count in options.classes; outlines or keypoints by the task.
struct SynthImage : ImageLabels {
  image::Image image;
};

// Image number `index`: a pure function of the options' seed, size, objects and classes. The label of a
// shape bounds the part of it that is inside the image; a shape of which less than kSynthVisible can be
// seen, after what lies above it and the image's edge, has none.
inline constexpr double kSynthVisible = 0.6;
SynthImage draw_synth_image(const SynthOptions& options, int64_t index);

struct SynthSummary {
  int64_t train_images = 0, val_images = 0;
  std::vector<int64_t> objects;  // by class
};

// Writes images/{train,val}/000000.jpg (.tif where the samples are not three of 8 bits),
// labels/{train,val}/000000.txt and data.yaml. The folder is made; one that has a data.yaml already is
// refused with Error{kUsage}, as are options out of range. The same bytes for the same options, whatever the
// number of threads.
SynthSummary write_synth_dataset(const std::filesystem::path& folder, const SynthOptions& options);

}  // namespace marrow::data
