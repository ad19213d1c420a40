#include "marrow/train/native/steps/planes.h"

#include <algorithm>

namespace marrow::train::native {

PlaneStep::PlaneStep(std::vector<Reader> readers, int map, std::span<const Map> maps, int lanes)
    : lanes_(lanes),
      out_height_(maps[static_cast<size_t>(map)].height),
      out_width_(maps[static_cast<size_t>(map)].width),
      product_(map, maps[static_cast<size_t>(map)].channels, {}) {
  inputs = std::move(readers);
  output = map;
  blocks_ = maps[static_cast<size_t>(map)].blocks(lanes);
  planes_ = maps[static_cast<size_t>(map)].images * blocks_;
}

int64_t PlaneStep::scratch_floats() const {
  int64_t pixels = out_pixels();
  for (const Reader& reader : inputs) pixels += 2 * reader.pixels();
  return pixels * lanes_ + own_floats();
}

void PlaneStep::forward(const Run& run) {
  product_.begin_forward(run);
  run.for_chunks(planes_, std::min(planes_, kMostShares), [&](int64_t chunk, int64_t share, int thread) {
    Plane plane{run, chunk / blocks_, chunk % blocks_, {}, nullptr, share};
    float* scratch = run.thread_scratch(thread);
    float* out = scratch;
    scratch += out_pixels() * lanes_;
    for (const Reader& reader : inputs) {
      reader.prepare(run, plane.image, static_cast<int>(plane.block), 0, reader.pixels(), scratch);
      plane.in.push_back(scratch);
      scratch += reader.pixels() * lanes_;
    }
    plane.own = scratch;
    compute(plane, out);
    product_.store(run, share, plane.image, plane.block, 0, out_pixels(), out);
  });
  product_.end_forward(run);
}

void PlaneStep::backward(const Run& run) {
  product_.begin_backward(run);
  for (Reader& reader : inputs) reader.begin_backward(lanes_);
  const int64_t shares = std::min(planes_, kMostShares);
  begin_backward(run, shares);
  run.for_chunks(planes_, shares, [&](int64_t chunk, int64_t share, int thread) {
    Plane plane{run, chunk / blocks_, chunk % blocks_, {}, nullptr, share};
    float* scratch = run.thread_scratch(thread);
    product_.prepare_gradient(run, share, plane.image, plane.block, 0, out_pixels(), true, scratch);
    plane.dy = scratch;
    scratch += out_pixels() * lanes_;
    std::vector<float*> dx;
    for (const Reader& reader : inputs) {
      if (reads_inputs_backward())
        reader.prepare(run, plane.image, static_cast<int>(plane.block), 0, reader.pixels(), scratch);
      plane.in.push_back(scratch);
      scratch += reader.pixels() * lanes_;
      dx.push_back(scratch);
      scratch += reader.pixels() * lanes_;
    }
    plane.own = scratch;
    differentiate(plane, dx);
    for (size_t i = 0; i < inputs.size(); ++i)
      inputs[i].give(run, share, plane.image, static_cast<int>(plane.block), 0, inputs[i].pixels(), dx[i]);
  });
  end_backward(run, shares);
  for (Reader& reader : inputs) reader.end_backward(run);
  product_.end_backward(run);
}

}  // namespace marrow::train::native
