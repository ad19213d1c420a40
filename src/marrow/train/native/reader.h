// How a step sees a value: as blocks of channels that are made again from stored maps.
//
// A value is act(n) of channels of maps, n = the map as its batch norm leaves it. Slices, concatenations and
// shuffles are nothing but a list of channels. A step asks for prepared blocks, and gives back the gradients
// of what it was given; batch norms' sums over these are taken on the way.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace marrow::train::native {

struct Map;
struct Run;

// act(n) of a map.
struct Term {
  int map = -1;
  int kind = 0;  // of engine::Kernels::unary; 0: the identity
  float parameter = 0;
  const float* named_parameter = nullptr;  // takes its place: a slope that changes in training

  bool operator==(const Term&) const = default;
};

// A term, or the product of two whose maps have the same channels; the second may have one pixel, a gate.
struct Reading {
  Term term;
  Term factor;  // of no map: there is none

  bool is_product() const { return factor.map >= 0; }
  bool operator==(const Reading&) const = default;
};

struct Seen {
  struct Channel {
    int reading = 0;
    int channel = 0;  // of its map
  };
  std::vector<Reading> readings;
  std::vector<Channel> channels;
  int64_t images = 1, height = 1, width = 1;

  int64_t pixels() const { return height * width; }
};

class Reader {
 public:
  Reader(const Seen& seen, std::span<const Map> maps, int lanes);

  int64_t images() const { return images_; }
  int64_t height() const { return height_; }
  int64_t width() const { return width_; }
  int64_t pixels() const { return height_ * width_; }
  int channels() const { return static_cast<int>(lanes_of_.size()); }
  int blocks() const { return static_cast<int>(blocks_.size()); }
  // Where a channel lies among the prepared blocks: block * lanes + lane.
  int lane_of(int channel) const { return lanes_of_[static_cast<size_t>(channel)]; }
  // Channels lie in order, and every block belongs to this value as a whole.
  bool aligned() const { return aligned_; }
  bool wants_gradient(std::span<const Map> maps) const;

  // `pixels` of a block from `first` on.
  void prepare(const Run& run, int64_t image, int block, int64_t first, int64_t pixels, float* dst) const;

  // Adds where a block's pixels lie from `first` on, in its maps: to be fetched ahead.
  void add_places(const Run& run, int64_t image, int block, int64_t first,
                  std::vector<const float*>& places) const;

  // Between these two, give() for every pixel of every block, once. Lanes that are not of this value are 0 in
  // dz.
  void begin_backward(int lanes);
  void give(const Run& run, int64_t share, int64_t image, int block, int64_t first, int64_t pixels,
            const float* dz);
  void end_backward(const Run& run);

  struct Block {
    Reading reading;
    int64_t block = 0;  // of the maps
    // Whether a term's gradient is added to what other readers gave; otherwise it is the first.
    bool adds = false, factor_adds = false;
  };
  // visit(map, block, adds) for every map that the blocks are made of.
  template <class Visit>
  void for_uses(const Visit& visit) {
    for (Block& part : blocks_) {
      visit(part.reading.term.map, part.block, part.adds);
      if (part.reading.is_product()) visit(part.reading.factor.map, part.block, part.factor_adds);
    }
  }
  template <class Visit>
  void for_maps(const Visit& visit) const {
    for (const Block& part : blocks_) {
      visit(part.reading.term.map);
      if (part.reading.is_product()) visit(part.reading.factor.map);
    }
  }
  const std::vector<Block>& parts() const { return blocks_; }

 private:
  static void give_term(const Run& run, const Term& term, int64_t at, int64_t block, bool adds,
                        int64_t pixels, const float* dz, double* sums);
  double* sums_of(int64_t share, int block, int lanes) {
    return sums_.data() + (share * blocks() + block) * 4 * lanes;
  }
  float* gate_sums_of(int64_t share, int64_t image, int block, int lanes) {
    return gate_sums_.data() + ((share * images_ + image) * blocks() + block) * lanes;
  }
  void give_gates(const Run& run);

  int64_t images_, height_, width_;
  std::vector<Block> blocks_;
  std::vector<int> lanes_of_;
  bool aligned_ = false;
  // [share][block][term, factor][2][lane]: of dn and dn (y - centre)
  std::vector<double> sums_;
  bool has_gates_ = false;
  std::vector<float> gate_sums_;  // [share][image][block][lane]: gradients of gates
};

}  // namespace marrow::train::native
