#include "marrow/train/native/reader.h"

#include <algorithm>
#include <cstring>

#include "marrow/train/native/step.h"

namespace marrow::train::native {
namespace {

float parameter_of(const Term& term) {
  return term.named_parameter != nullptr ? *term.named_parameter : term.parameter;
}

const Map& map_of(const Run& run, const Term& term) {
  return run.maps[static_cast<size_t>(term.map)];
}

bool is_gated(std::span<const Map> maps, const Reading& reading) {
  return reading.is_product() && maps[static_cast<size_t>(reading.factor.map)].pixels() == 1;
}

// `at`: floats before the first pixel, in the map.
void prepare_term(const Run& run, const Term& term, int64_t at, int64_t block, int64_t pixels, float* dst) {
  const Map& map = map_of(run, term);
  const int lanes = run.lanes();
  if (map.norm == 0 && term.kind == 0) {
    std::memcpy(dst, map.value + at, static_cast<size_t>(pixels * lanes) * sizeof(float));
    return;
  }
  const Norm::Lanes norm = run.norms[static_cast<size_t>(map.norm)].lanes(block, lanes);
  run.kernels->prepare[static_cast<size_t>(term.kind)](
      {map.value + at, norm.scale, norm.shift, parameter_of(term), dst, pixels});
}

// Products are made so many pixels at a time, which stay in the first-level cache.
constexpr int64_t kPiece = 64;

// work(first pixel, how many) for the pieces of a run of pixels.
template <class Work>
void for_pieces(int64_t pixels, const Work& work) {
  for (int64_t p = 0; p < pixels; p += kPiece) work(p, std::min(kPiece, pixels - p));
}

}  // namespace

Reader::Reader(const Seen& seen, std::span<const Map> maps, int lanes)
    : images_(seen.images), height_(seen.height), width_(seen.width) {
  for (const Seen::Channel& channel : seen.channels) {
    const Reading& reading = seen.readings[static_cast<size_t>(channel.reading)];
    const int64_t block = channel.channel / lanes;
    const auto known = std::ranges::find_if(
        blocks_, [&](const Block& other) { return other.block == block && other.reading == reading; });
    const auto place = static_cast<int>(known - blocks_.begin());
    if (known == blocks_.end()) blocks_.push_back({reading, block});
    lanes_of_.push_back(place * lanes + channel.channel % lanes);
  }
  for (const Block& block : blocks_) has_gates_ |= is_gated(maps, block.reading);
  // As many channels as the blocks hold, in order.
  int64_t held = 0;
  for (const Block& block : blocks_) {
    const Map& map = maps[static_cast<size_t>(block.reading.term.map)];
    held += std::min<int64_t>(lanes, map.channels - block.block * lanes);
  }
  aligned_ = held == static_cast<int64_t>(lanes_of_.size());
  for (size_t c = 0; c < lanes_of_.size(); ++c) aligned_ &= lanes_of_[c] == static_cast<int>(c);
}

bool Reader::wants_gradient(std::span<const Map> maps) const {
  bool wants = false;
  for_maps([&](int map) { wants |= maps[static_cast<size_t>(map)].has_gradient; });
  return wants;
}

void Reader::prepare(const Run& run, int64_t image, int block, int64_t first, int64_t pixels,
                     float* dst) const {
  const Block& part = blocks_[static_cast<size_t>(block)];
  const Term& term = part.reading.term;
  const Term& factor = part.reading.factor;
  const int lanes = run.lanes();
  const int64_t at = map_of(run, term).at(lanes, image, part.block, first);
  if (!part.reading.is_product()) return prepare_term(run, term, at, part.block, pixels, dst);
  alignas(64) float beside[kPiece * static_cast<int64_t>(kMostLanes)];
  if (is_gated(run.maps, part.reading)) {
    const int64_t gate_at = map_of(run, factor).at(lanes, image, part.block, 0);
    prepare_term(run, factor, gate_at, part.block, 1, beside);
    prepare_term(run, term, at, part.block, pixels, dst);
    run.engine->scale_lanes(dst, beside, nullptr, dst, pixels * lanes);
    return;
  }
  for_pieces(pixels, [&](int64_t p, int64_t count) {
    const int64_t floats = p * lanes;
    prepare_term(run, term, at + floats, part.block, count, dst + floats);
    prepare_term(run, factor, at + floats, part.block, count, beside);
    run.engine->multiply(dst + floats, beside, dst + floats, count * lanes);
  });
}

void Reader::add_places(const Run& run, int64_t image, int block, int64_t first,
                        std::vector<const float*>& places) const {
  const Block& part = blocks_[static_cast<size_t>(block)];
  const Map& map = map_of(run, part.reading.term);
  const int64_t at = map.at(run.lanes(), image, part.block, first);
  places.push_back(map.value + at);
  if (part.reading.is_product() && !is_gated(run.maps, part.reading))
    places.push_back(map_of(run, part.reading.factor).value + at);
}

void Reader::begin_backward(int lanes) {
  sums_.assign(static_cast<size_t>(kMostShares * blocks() * 4 * lanes), 0);
  if (has_gates_) gate_sums_.assign(static_cast<size_t>(kMostShares * images_ * blocks() * lanes), 0);
}

void Reader::give_term(const Run& run, const Term& term, int64_t at, int64_t block, bool adds, int64_t pixels,
                       const float* dz, double* sums) {
  const Map& map = map_of(run, term);
  if (!map.has_gradient) return;
  const int lanes = run.lanes();
  const Norm::Lanes norm = run.norms[static_cast<size_t>(map.norm)].lanes(block, lanes);
  const bool summed = map.norm != 0;
  run.kernels->finish_gradient[static_cast<size_t>(term.kind)]({.dz = dz,
                                                                .y = map.value + at,
                                                                .scale = norm.scale,
                                                                .shift = norm.shift,
                                                                .centre = norm.centre,
                                                                .parameter = parameter_of(term),
                                                                .dn = map.gradient + at,
                                                                .adds = adds,
                                                                .streamed = map.streamed && !adds,
                                                                .pixels = pixels,
                                                                .sums = summed ? sums : nullptr,
                                                                .products = summed ? sums + lanes : nullptr});
}

void Reader::give(const Run& run, int64_t share, int64_t image, int block, int64_t first, int64_t pixels,
                  const float* dz) {
  const Block& part = blocks_[static_cast<size_t>(block)];
  const Term& term = part.reading.term;
  const Term& factor = part.reading.factor;
  const int lanes = run.lanes();
  const int64_t at = map_of(run, term).at(lanes, image, part.block, first);
  double* sums = sums_of(share, block, lanes);
  if (!part.reading.is_product()) return give_term(run, term, at, part.block, part.adds, pixels, dz, sums);
  alignas(64) float other[kPiece * static_cast<int64_t>(kMostLanes)];
  if (is_gated(run.maps, part.reading)) {
    alignas(64) float gate[kMostLanes];
    prepare_term(run, factor, map_of(run, factor).at(lanes, image, part.block, 0), part.block, 1, gate);
    for_pieces(pixels, [&](int64_t p, int64_t count) {
      const int64_t floats = p * lanes;
      prepare_term(run, term, at + floats, part.block, count, other);
      run.kernels->lane_outer({.dy = dz + floats,
                               .dy_row = 0,
                               .x = other,
                               .x_row = 0,
                               .x_step = lanes,
                               .taps = 1,
                               .rows = 1,
                               .pixels = count,
                               .acc = gate_sums_of(share, image, block, lanes)});
      run.engine->scale_lanes(dz + floats, gate, nullptr, other, count * lanes);
      give_term(run, term, at + floats, part.block, part.adds, count, other, sums);
    });
    return;
  }
  for_pieces(pixels, [&](int64_t p, int64_t count) {
    const int64_t floats = p * lanes;
    const auto give_beside = [&](const Term& mine, const Term& beside, bool adds, double* own_sums) {
      prepare_term(run, beside, at + floats, part.block, count, other);
      run.engine->multiply(dz + floats, other, other, count * lanes);
      give_term(run, mine, at + floats, part.block, adds, count, other, own_sums);
    };
    give_beside(term, factor, part.adds, sums);
    give_beside(factor, term, part.factor_adds, sums + 2 * lanes);
  });
}

// Once all pixels of an image have given their part.
void Reader::give_gates(const Run& run) {
  const int lanes = run.lanes();
  for (int b = 0; b < blocks(); ++b) {
    const Block& part = blocks_[static_cast<size_t>(b)];
    if (!is_gated(run.maps, part.reading)) continue;
    for (int64_t image = 0; image < images_; ++image) {
      float* total = gate_sums_of(0, image, b, lanes);
      for (int64_t share = 1; share < kMostShares; ++share)
        run.engine->add(total, gate_sums_of(share, image, b, lanes), total, lanes);
      const int64_t at = map_of(run, part.reading.factor).at(lanes, image, part.block, 0);
      give_term(run, part.reading.factor, at, part.block, part.factor_adds, 1, total,
                sums_of(0, b, lanes) + 2 * lanes);
    }
  }
}

void Reader::end_backward(const Run& run) {
  if (has_gates_) give_gates(run);
  const int lanes = run.lanes();
  for (int64_t share = 0; share < kMostShares; ++share)
    for (int b = 0; b < blocks(); ++b) {
      const Block& part = blocks_[static_cast<size_t>(b)];
      const double* sums = sums_of(share, b, lanes);
      const auto add = [&](const Term& term, const double* own) {
        const int norm = map_of(run, term).norm;
        if (norm != 0) run.norms[static_cast<size_t>(norm)].add_sums(part.block, lanes, own, own + lanes);
      };
      add(part.reading.term, sums);
      if (part.reading.is_product()) add(part.reading.factor, sums + 2 * lanes);
    }
}

}  // namespace marrow::train::native
