// Random weights that make something of an image.
#pragma once

#include "marrow/graph/reference/executor.h"
#include "marrow/image/network_input.h"
#include "marrow/image/scene.h"

namespace marrow::testing {

// Their statistics are those of a drawn scene, so that what is found depends on the image.
inline Weights scene_weights(const Graph& graph, uint64_t seed, const InputFormat& format = {}) {
  Tensor input({1, 3, 64, 64});
  image::fill_network_input(image::draw_scene(64, 64, 5).pixels(), format, input.values().data());
  return reference::measure_batch_statistics(graph, randomize(graph, seed), input);
}

}  // namespace marrow::testing
