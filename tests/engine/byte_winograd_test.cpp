// Winograd's algorithm in whole numbers: the same bits as the direct way.
#include "marrow/engine/kernels/byte_winograd.h"

#include <cstdlib>

#include "marrow/base/tensor.h"
#include "marrow/engine/steps/low_precision.h"
#include "step_arena.h"
#include "support.h"

namespace marrow::engine {
namespace {

struct ByteLayer {
  int64_t images, in, out, height, width;
  int zero_point = 37, padding = 1;
};

std::ostream& operator<<(std::ostream& text, const ByteLayer& s) {
  return text << s.images << 'x' << s.in << 'x' << s.height << 'x' << s.width << " -> " << s.out
              << ", zero point " << s.zero_point << ", padding " << s.padding;
}

// What the layer computes with: bytes and weights from all that there are, or the greatest alone.
enum class Numbers { kAny, kGreatest };

struct ByteRun {
  cpu::SimdLevel level;
  bool winograd = true;
  int threads = 1;
  Element dst = Element::kFloat32;
  Epilogue epilogue;
};

class ByteConvolution {
 public:
  ByteConvolution(const ByteLayer& layer, Numbers numbers) : layer_(layer) {
    weight_ = Tensor({layer.out, layer.in, 3, 3});
    for (size_t i = 0; i < weight_.values().size(); ++i)
      weight_.values()[i] = numbers == Numbers::kGreatest ? 127.f : static_cast<float>(i * 7919 % 255) - 127;
    bias_ = testing::noise({layer.out}, 7);
    pixels_.resize(static_cast<size_t>(layer.images * layer.in * layer.height * layer.width));
    for (size_t i = 0; i < pixels_.size(); ++i)
      pixels_[i] = static_cast<uint8_t>(numbers == Numbers::kGreatest ? 255 : i * 6151 / 3 % 256);
  }

  bool accepted(cpu::SimdLevel level) {
    testing::StepArena arena(kernels_of(level));
    return accepts_byte_winograd(describe({level}, arena));
  }

  // All of dst that is read by anyone, as bytes.
  std::vector<uint8_t> run(const ByteRun& how) {
    cpu::ThreadPool pool(how.threads);
    testing::StepArena arena(kernels_of(how.level));
    ConvDescription conv = describe(how, arena);
    conv.pool = &pool;
    arena.for_each(conv.src, [&](uint8_t* at, size_t place) { *at = pixels_[place]; });
    arena.run(*(how.winograd ? make_byte_winograd(conv) : make_low_precision_direct(conv)), pool);
    std::vector<uint8_t> results;
    arena.for_each(conv.dst, [&](const uint8_t* at, size_t) {
      results.insert(results.end(), at, at + element_bytes(how.dst));
    });
    return results;
  }

 private:
  ConvDescription describe(const ByteRun& how, testing::StepArena& arena) {
    ConvDescription conv;
    conv.kernel = 3;
    conv.pad_y = conv.pad_x = Padding::symmetric(layer_.padding);
    conv.weight = weight_.values();
    conv.bias = bias_.values();
    conv.kernels = &kernels_of(how.level);
    conv.epilogue = how.epilogue;
    const int64_t grown = 2 * layer_.padding - 2;
    conv.src = arena.add({layer_.images, layer_.in, layer_.height, layer_.width}, Element::kByte);
    conv.dst = arena.add({layer_.images, layer_.out, layer_.height + grown, layer_.width + grown}, how.dst);
    conv.src.scale = {0.01f, layer_.zero_point};
    conv.dst.scale = {20.f, 90};
    return conv;
  }

  ByteLayer layer_;
  Tensor weight_, bias_;
  std::vector<uint8_t> pixels_;
};

void expect_the_direct_results(const ByteLayer& layer, Numbers numbers = Numbers::kAny) {
  SCOPED_TRACE(::testing::Message() << layer);
  ByteConvolution conv(layer, numbers);
  for (const cpu::SimdLevel level : cpu::available_simd_levels()) {
    if (kernels_of(level).byte_winograd.input == nullptr) continue;
    ASSERT_TRUE(conv.accepted(level));
    EXPECT_EQ(conv.run({.level = level, .threads = 2}), conv.run({.level = level, .winograd = false}))
        << cpu::simd_name(level);
  }
}

TEST(ByteWinograd, EqualsTheDirectWayForAnyChannels) {
  for (const int64_t in : {1, 2, 7, 8, 9, 15, 17, 24, 33, 58})
    for (const int64_t out : {1, 8, 17, 58}) expect_the_direct_results({1, in, out, 9, 13});
}

TEST(ByteWinograd, EqualsTheDirectWayForAnySizeAndPadding) {
  for (const int64_t height : {1, 2, 5, 8, 13})
    for (const int64_t width : {1, 4, 7, 37}) expect_the_direct_results({2, 18, 20, height, width});
  for (const int padding : {0, 2, 5}) expect_the_direct_results({3, 17, 40, 11, 7, 37, padding});
  for (const int zero_point : {0, 255}) expect_the_direct_results({1, 17, 40, 11, 7, zero_point});
}

// The greatest sums that are accepted, and one channel more.
TEST(ByteWinograd, IsRightUpToTheBoundAndRefusesMore) {
  for (const auto& [zero_point, most] : {std::pair(0, 115), std::pair(128, 229)}) {
    expect_the_direct_results({1, most, 3, 6, 5, zero_point}, Numbers::kGreatest);
    ByteConvolution more({1, most + 1, 3, 6, 5, zero_point}, Numbers::kGreatest);
    for (const cpu::SimdLevel level : cpu::available_simd_levels()) EXPECT_FALSE(more.accepted(level));
  }
}

TEST(ByteWinograd, FinishesIntoAnyElement) {
  ByteConvolution conv({2, 24, 33, 10, 39}, Numbers::kAny);
  for (const cpu::SimdLevel level : cpu::available_simd_levels()) {
    if (kernels_of(level).byte_winograd.input == nullptr) continue;
    for (const Element dst : {Element::kFloat32, Element::kByte})
      for (const ActivationKind kind : {ActivationKind::kSilu, ActivationKind::kRelu}) {
        const Epilogue epilogue = {.before = {static_cast<int>(kind)}};
        const auto direct = conv.run({level, false, 1, dst, epilogue});
        for (const int threads : {1, 3, 16})
          EXPECT_EQ(conv.run({level, true, threads, dst, epilogue}), direct) << cpu::simd_name(level);
      }
  }
}

// A (G g)(B d) of one dimension is the correlation, by the matrices of the header.
TEST(ByteWinograd, MatricesAreThoseOfACorrelation) {
  using Form = ByteWinograd;
  for (int tap = 0; tap < 3; ++tap)
    for (int pixel = 0; pixel < Form::kPatch; ++pixel)
      for (int output = 0; output < 4; ++output) {
        int sum = 0;
        for (int i = 0; i < Form::kProducts; ++i)
          sum += Form::kOutput[output][i] * Form::kWeight[i][tap] * Form::kInput[i][pixel];
        EXPECT_EQ(sum, pixel == output + tap ? 3 << Form::kShift[output] : 0);
      }
}

TEST(ByteWinograd, TransformedNumbersFit16Bits) {
  using Form = ByteWinograd;
  const auto largest = [](const auto& a, const auto& b, int most, bool bytes) {
    int above = 0, below = 0;
    for (const int x : a)
      for (const int y : b) (x * y > 0 ? above : below) += std::abs(x * y) * most;
    return bytes ? std::max(above, below) : above + below;
  };
  for (const auto& a : Form::kInput)
    for (const auto& b : Form::kInput) EXPECT_LE(largest(a, b, 255, true), INT16_MAX);
  for (const auto& a : Form::kWeight)
    for (const auto& b : Form::kWeight) EXPECT_LE(largest(a, b, 127, false), INT16_MAX);
}

}  // namespace
}  // namespace marrow::engine
