#include "marrow/engine/compile/channel_moves.h"

#include <algorithm>
#include <map>

namespace marrow::engine {
namespace {

struct ChannelPlace {
  Value map;
  int channel = 0;
};
using ChannelPlaces = std::vector<ChannelPlace>;

class Dissolver {
 public:
  Dissolver(int lanes, Lowered& lowered) : lanes_(lanes), lowered_(lowered) {
    for (const LoweredOp& op : lowered.ops)
      for_each_read(op, [&](Value value) { readers_[value.id].push_back(op); });
  }

  void run() {
    const std::vector<LoweredOp> ops = std::move(lowered_.ops);
    lowered_.ops.clear();
    for (const LoweredOp& op : ops) {
      if (is_move(op) && dissolves(op)) {
        define(op, moved(op));
      } else if (is_scattered(op)) {
        if (is_pointwise(op))
          lowered_.ops.push_back(scatter(op));
        else
          define(op, cut_depthwise(op));
      } else {
        lowered_.ops.push_back(op);
      }
    }
  }

 private:
  const Shape& shape(Value value) const { return lowered_.shapes[static_cast<size_t>(value.id)]; }
  int channels(Value value) const { return static_cast<int>(shape(value).at(1)); }

  static const lowered::Convolution* convolution(const LoweredOp& op) {
    return std::get_if<lowered::Convolution>(&op.operation);
  }
  bool is_depthwise(const LoweredOp& op) const {
    const auto* layer = convolution(op);
    return layer != nullptr && layer->conv.groups == channels(op.inputs[0]) &&
           layer->conv.groups == layer->conv.out_channels;
  }
  static bool is_pointwise(const LoweredOp& op) {
    const auto* layer = convolution(op);
    return layer != nullptr && layer->conv.kernel == 1 && layer->conv.stride == 1 &&
           layer->conv.groups == 1 && layer->conv.padding == Padding();
  }
  static bool is_move(const LoweredOp& op) {
    return std::holds_alternative<Slice>(op.operation) || std::holds_alternative<Concat>(op.operation) ||
           std::holds_alternative<ChannelShuffle>(op.operation);
  }
  // Whether the operation can read a list of places for `value`.
  bool takes_places(const LoweredOp& op, Value value) const {
    if (is_move(op)) return true;
    if (is_pointwise(op)) return convolution(op)->epilogue.other != value;
    return is_depthwise(op) && convolution(op)->epilogue.join == Epilogue::Join::kNone;
  }
  bool all_take_places(Value value) const {
    const auto readers = readers_.find(value.id);
    return readers == readers_.end() || std::ranges::all_of(readers->second, [&](const LoweredOp& reader) {
             return takes_places(reader, value);
           });
  }
  bool is_scattered(const LoweredOp& op) const {
    return std::ranges::any_of(op.inputs, [&](Value input) { return places_.contains(input.id); });
  }

  bool dissolves(const LoweredOp& op) const {
    if (is_scattered(op) || std::holds_alternative<ChannelShuffle>(op.operation)) return true;
    if (const auto* slice = std::get_if<Slice>(&op.operation))
      return slice->begin % lanes_ != 0 || slice->groups > 1;
    if (!all_take_places(op.output)) return false;
    int offset = 0;
    for (const Value input : op.inputs) {
      if (offset % lanes_ != 0) return true;
      offset += channels(input);
    }
    return false;
  }

  ChannelPlaces places_of(Value value) const {
    if (const auto found = places_.find(value.id); found != places_.end()) return found->second;
    ChannelPlaces places;
    for (int c = 0; c < channels(value); ++c) places.push_back({value, c});
    return places;
  }

  // What a slice, concatenation or shuffle gives.
  ChannelPlaces moved(const LoweredOp& op) const {
    ChannelPlaces all;
    for (const Value input : op.inputs) std::ranges::copy(places_of(input), std::back_inserter(all));
    if (const auto* slice = std::get_if<Slice>(&op.operation)) {
      ChannelPlaces taken;
      const auto group = static_cast<std::ptrdiff_t>(all.size()) / slice->groups;
      for (auto first = all.begin(); first != all.end(); first += group)
        taken.insert(taken.end(), first + slice->begin, first + slice->end);
      return taken;
    }
    const auto* shuffle = std::get_if<ChannelShuffle>(&op.operation);
    if (shuffle == nullptr) return all;
    const size_t groups = static_cast<size_t>(shuffle->groups);
    const size_t per_group = all.size() / groups;
    ChannelPlaces shuffled;
    for (size_t c = 0; c < all.size(); ++c) shuffled.push_back(all[c % groups * per_group + c / groups]);
    return shuffled;
  }

  // The maps of `places` become the operation's inputs; returns the places in them.
  static std::vector<ChannelSource> read(const ChannelPlaces& places, LoweredOp& op) {
    std::vector<ChannelSource> channels;
    op.inputs.clear();
    for (const ChannelPlace& place : places) {
      const auto found = std::ranges::find(op.inputs, place.map);
      channels.push_back({static_cast<int>(found - op.inputs.begin()), place.channel});
      if (found == op.inputs.end()) op.inputs.push_back(place.map);
    }
    return channels;
  }

  // The value of `op` lies at `places`; who cannot read those gets a copy, and then everybody reads that.
  void define(const LoweredOp& op, ChannelPlaces places) {
    if (all_take_places(op.output)) {
      places_[op.output.id] = std::move(places);
      return;
    }
    LoweredOp gather{op.name, {}, op.output, {}};
    gather.operation = lowered::Gather{read(places, gather)};
    lowered_.ops.push_back(std::move(gather));
  }

  LoweredOp scatter(LoweredOp op) const {
    std::get<lowered::Convolution>(op.operation).channels = read(places_of(op.inputs[0]), op);
    return op;
  }

  // One part for each map: its blocks from the first channel that is wanted to the last. A channel that is
  // wanted twice is in two parts.
  ChannelPlaces cut_depthwise(const LoweredOp& op) {
    const ChannelPlaces places = places_of(op.inputs[0]);
    struct Taken {
      size_t row;  // the convolution's channel
      int channel;
    };
    std::map<std::pair<int, int>, std::vector<Taken>>
        parts;                                 // by map, and how often the channel was taken before
    std::map<std::pair<int, int>, int> taken;  // by map and channel
    for (size_t row = 0; row < places.size(); ++row) {
      const auto& [map, channel] = places[row];
      parts[{map.id, taken[{map.id, channel}]++}].push_back({row, channel});
    }
    ChannelPlaces result(places.size());
    for (const auto& [key, channels] : parts) {
      const auto [low, high] = std::ranges::minmax(channels, {}, &Taken::channel);
      const lowered::Convolution& whole = *convolution(op);
      lowered::DepthwisePart part{whole.conv, {}, low.channel / lanes_, whole.epilogue.before};
      const int first = static_cast<int>(part.first_block) * lanes_;
      part.rows.assign(static_cast<size_t>(high.channel + 1 - first), -1);
      Shape part_shape = shape(op.output);
      part_shape[1] = high.channel + 1 - first;
      const Value output = lowered_.add_value(part_shape);
      for (const Taken& one : channels) {
        part.rows[static_cast<size_t>(one.channel - first)] = static_cast<int>(one.row);
        result[one.row] = {output, one.channel - first};
      }
      lowered_.ops.push_back({op.name, {Value{key.first}}, output, std::move(part)});
    }
    return result;
  }

  int lanes_;
  Lowered& lowered_;
  std::map<int, std::vector<LoweredOp>> readers_;
  std::map<int, ChannelPlaces> places_;  // by value, where it is not in one piece
};

}  // namespace

void dissolve_channel_moves(int lanes, Lowered& lowered) {
  Dissolver(lanes, lowered).run();
}

}  // namespace marrow::engine
