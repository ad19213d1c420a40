// Packed weights against their places, and products of packed weights against convolutions.
#include "marrow/train/native/kernels/pack.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "marrow/engine/kernels/winograd_points.h"
#include "support.h"

namespace marrow::train::native {
namespace {

std::vector<int> counted(int64_t count) {
  std::vector<int> numbers(static_cast<size_t>(count));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

// Channels in another order, with spare lanes up to a whole block.
std::vector<int> shuffled_lanes(int channels, int lanes) {
  std::vector<int> at_lane(static_cast<size_t>((channels + lanes - 1) / lanes * lanes), kNoChannel);
  for (int i = 0; i < channels; ++i)
    at_lane[static_cast<size_t>(i)] = i % 2 == 0 ? channels - 1 - i / 2 : i / 2;
  return at_lane;
}

std::vector<int> lanes_in_order(int channels, int lanes) {
  std::vector<int> at_lane = counted((channels + lanes - 1) / lanes * lanes);
  std::fill(at_lane.begin() + channels, at_lane.end(), kNoChannel);
  return at_lane;
}

float weight_at(const PackArgs& args, int64_t output, int64_t input, size_t tap) {
  const int out = args.outputs[static_cast<size_t>(output)], in = args.inputs[static_cast<size_t>(input)];
  if (out == kNoChannel || in == kNoChannel) return 0;
  return args.weights[out * args.output_step + in * args.input_step + args.taps[tap]];
}

// Calls visit(first output, floats of the group's width).
template <class Visit>
void each_packed_group(const PackArgs& args, const Kernels& kernels, const Visit& visit) {
  const auto blocks = static_cast<int>(args.outputs.size()) / kernels.lanes;
  for (int first = 0; first < blocks;) {
    const int group = next_group(blocks - first, kernels.output_group);
    visit(int64_t{first} * kernels.lanes, int64_t{group} * kernels.lanes);
    first += group;
  }
}

void expect_packed(const PackArgs& args, const Kernels& kernels) {
  Floats packed(static_cast<size_t>(packed_size(args)), 77.f);
  pack_weights(args, kernels, packed.data());
  int64_t place = 0;
  each_packed_group(args, kernels, [&](int64_t output, int64_t width) {
    const int64_t begin = place;
    for (int64_t block = 0; block < static_cast<int64_t>(args.inputs.size()); block += args.block_channels)
      for (size_t tap = 0; tap < args.taps.size(); ++tap)
        for (int64_t lane = 0; lane < args.block_channels; ++lane)
          for (int64_t i = 0; i < width; ++i, ++place)
            ASSERT_EQ(at(packed, place), weight_at(args, output + i, block + lane, tap)) << place;
    ASSERT_EQ(place - begin, packed_group_size(args, static_cast<int>(width) / kernels.lanes, kernels));
  });
  ASSERT_EQ(place, packed_size(args));
}

TEST(Pack, PutsEveryWeightInItsPlace) {
  at_every_level([](const Kernels& kernels) {
    constexpr int kOutputs = 74, kInputs = 27;
    for (const int taps : {1, 9}) {
      const Floats weights = normals(kOutputs * kInputs * taps, "weights");
      const std::vector<int> all = counted(taps);
      const auto check = [&](const std::vector<int>& outputs, const std::vector<int>& inputs) {
        expect_packed({weights.data(), int64_t{kInputs} * taps, taps, outputs, inputs, kernels.lanes, all},
                      kernels);
        expect_packed({weights.data(), taps, int64_t{kInputs} * taps, inputs, outputs, kernels.lanes, all},
                      kernels);
      };
      check(lanes_in_order(kOutputs, kernels.lanes), lanes_in_order(kInputs, kernels.lanes));
      check(shuffled_lanes(kOutputs, kernels.lanes), shuffled_lanes(kInputs, kernels.lanes));
    }
    // The stem: three lanes of a block, and some taps in another order.
    const Floats weights = normals(16 * 3 * 9, "weights");
    const std::vector<int> taps = {8, 6, 2, 0};
    expect_packed({weights.data(), 27, 9, lanes_in_order(16, kernels.lanes), counted(3), 3, taps}, kernels);
  });
}

TEST(Pack, MakesWinogradsProducts) {
  at_every_level([](const Kernels& kernels) {
    constexpr int kOutputs = 42, kInputs = 19, kProducts = 36;
    const Floats weights = normals(kOutputs * kInputs * 9, "weights");
    std::vector<int> taps = counted(9);
    for (const bool flipped : {false, true}) {
      if (flipped) std::reverse(taps.begin(), taps.end());
      const std::vector<int> outputs = shuffled_lanes(kOutputs, kernels.lanes);
      const std::vector<int> inputs = lanes_in_order(kInputs, kernels.lanes);
      const PackArgs args = {weights.data(), kInputs * 9, 9, outputs, inputs, kernels.lanes, taps};
      Floats packed(static_cast<size_t>(4 * packed_size(args)), 77.f);
      pack_winograd_weights(args, kernels, packed.data());
      int64_t begin = 0;
      each_packed_group(args, kernels, [&](int64_t output, int64_t width) {
        const auto rows = static_cast<int64_t>(inputs.size());
        for (int64_t input = 0; input < rows; ++input)
          for (int64_t i = 0; i < width; ++i) {
            float kernel[9];
            for (size_t tap = 0; tap < 9; ++tap) kernel[tap] = weight_at(args, output + i, input, tap);
            const auto wanted = engine::winograd::transform_weights<engine::winograd::Unit>(kernel);
            for (int64_t k = 0; k < kProducts; ++k)
              ASSERT_NEAR(at(packed, begin + (k * rows + input) * width + i), wanted[static_cast<size_t>(k)],
                          1e-6);
          }
        begin += kProducts * rows * width;
      });
      ASSERT_EQ(begin, 4 * packed_size(args));
    }
  });
}

TEST(Pack, PutsDepthwiseWeightsByBlock) {
  at_every_level([](const Kernels& kernels) {
    constexpr int kChannels = 21;
    const Floats weights = normals(kChannels * 9, "weights");
    const std::vector<int> channels = shuffled_lanes(kChannels, kernels.lanes), taps = {8, 4, 0};
    Floats packed(channels.size() * taps.size(), 77.f);
    pack_lane_weights(weights.data(), 9, channels, taps, kernels, packed.data());
    const auto lanes = static_cast<size_t>(kernels.lanes);
    for (size_t i = 0; i < packed.size(); ++i) {
      const size_t block = i / lanes / taps.size(), tap = i / lanes % taps.size();
      const int channel = channels[block * lanes + i % lanes];
      ASSERT_EQ(packed[i],
                channel == kNoChannel ? 0.f : weights[static_cast<size_t>(channel * 9 + taps[tap])]);
    }
  });
}

// A row of a 1 x 3 convolution of stride 1, forward and back: the product with packed weights is the sum that
// defines it.
TEST(Pack, AndMultiplyMakeAConvolutionAndItsGradient) {
  at_every_level([](const Kernels& kernels) {
    const int64_t lanes = kernels.lanes, width = 9;
    const int outputs = 2 * kernels.lanes + 3, inputs = kernels.lanes + 1, taps = 3;
    const Floats weights = normals(outputs * inputs * taps, "weights", 0.3);
    const std::vector<int> out_lanes = lanes_in_order(outputs, kernels.lanes);
    const std::vector<int> in_lanes = shuffled_lanes(inputs, kernels.lanes);
    const auto run = [&](const PackArgs& args, const Floats& src, int64_t pixels) {
      Floats packed(static_cast<size_t>(packed_size(args)));
      pack_weights(args, kernels, packed.data());
      const std::vector<int64_t> offsets = {0, lanes, 2 * lanes};
      const auto blocks = static_cast<int>(args.inputs.size()) / kernels.lanes;
      Floats dst(static_cast<size_t>(pixels) * args.outputs.size());
      const float* group = packed.data();
      each_packed_group(args, kernels, [&](int64_t output, int64_t floats) {
        const int count = static_cast<int>(floats) / kernels.lanes;
        kernels.multiply({src.data(), (pixels + 2) * lanes, lanes, blocks, kernels.lanes, offsets.data(),
                          taps, group, count, dst.data() + output * pixels, pixels * lanes, lanes, pixels});
        group += packed_group_size(args, count, kernels);
      });
      return dst;
    };
    const auto place = [&](int64_t pixels, size_t lane, int64_t pixel) {
      return (static_cast<int64_t>(lane) / lanes * pixels + pixel) * lanes +
             static_cast<int64_t>(lane) % lanes;
    };
    const auto weight = [&](int out, int in, int64_t tap) {
      return out == kNoChannel || in == kNoChannel ? 0.
                                                   : at(weights, (int64_t{out} * inputs + in) * taps + tap);
    };

    const Floats x = normals((width + 2) * static_cast<int64_t>(in_lanes.size()), "x");
    const Floats y =
        run({weights.data(), inputs * taps, taps, out_lanes, in_lanes, kernels.lanes, counted(3)}, x, width);
    const Floats dy = normals((width + 2) * static_cast<int64_t>(out_lanes.size()), "dy");
    const std::vector<int> flipped = {2, 1, 0};
    const Floats dx =
        run({weights.data(), taps, inputs * taps, in_lanes, out_lanes, kernels.lanes, flipped}, dy, width);
    for (int64_t pixel = 0; pixel < width; ++pixel) {
      for (size_t out = 0; out < out_lanes.size(); ++out) {
        double sum = 0;
        for (size_t in = 0; in < in_lanes.size(); ++in)
          for (int64_t tap = 0; tap < taps; ++tap)
            sum += weight(out_lanes[out], in_lanes[in], tap) * at(x, place(width + 2, in, pixel + tap));
        ASSERT_NEAR(at(y, place(width, out, pixel)), sum, 1e-5);
      }
      for (size_t in = 0; in < in_lanes.size(); ++in) {
        double sum = 0;
        for (size_t out = 0; out < out_lanes.size(); ++out)
          for (int64_t tap = 0; tap < taps; ++tap)  // dy of the pixel whose tap this is, in a padded row
            sum += weight(out_lanes[out], in_lanes[in], tap) * at(dy, place(width + 2, out, pixel + 2 - tap));
        ASSERT_NEAR(at(dx, place(width, in, pixel)), sum, 1e-5);
      }
    }
  });
}

}  // namespace
}  // namespace marrow::train::native
