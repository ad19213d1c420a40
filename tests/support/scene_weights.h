// Random weights that make something of an image.
#pragma once

#include "marrow/graph/reference/executor.h"
#include "marrow/image/convert.h"
#include "marrow/image/network_input.h"
#include "marrow/image/scene.h"

namespace marrow::testing {

// Their statistics are those of a drawn scene, so that what is found depends on the image.
inline Weights scene_weights(const Graph& graph, uint64_t seed, const InputFormat& format = {}) {
  const SampleFormat samples = {image_reading(graph).samples.channels, format.range ? 16 : 8};
  Tensor input({1, samples.channels, 64, 64});
  image::fill_network_input(image::stand_in(image::draw_scene(64, 64, 5), samples).pixels(), format,
                            input.values().data());
  return reference::measure_batch_statistics(graph, randomize(graph, seed), input);
}

}  // namespace marrow::testing
