// Choices of implementations: kept, read back, never trusted further than they make sense.
#include "marrow/engine/compile/tuner.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "marrow/cpu/processor.h"
#include "marrow/graph/builder.h"
#include "support.h"
#include "support/temporary_folder.h"

namespace marrow::engine {
namespace {

// A 3x3 convolution, for which Winograd's and the direct one compete.
struct TunedLayer {
  Tensor weight{Shape{16, 16, 3, 3}};
  cpu::ThreadPool pool{1};
  ConvDescription conv;

  TunedLayer() {
    conv.kernel = 3;
    conv.pad_y = conv.pad_x = Padding::symmetric(1);
    conv.src.channels = conv.dst.channels = 16;
    conv.src.height = conv.src.width = conv.dst.height = conv.dst.width = 8;
    conv.kernels = &kernels_of(cpu::choose_simd_level());
    conv.src.image_stride = conv.dst.image_stride = conv.src.image_floats(conv.kernels->lanes);
    conv.dst.buffer.offset = conv.src.image_stride;
    conv.weight = weight.values();
    conv.pool = &pool;
  }
};

std::string text_of(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

TEST(Tuner, RemembersWhatItMeasured) {
  const testing::TemporaryFolder folder;
  const auto file = folder.path() / "new" / "tuning.txt";
  TunedLayer layer;
  Tuner first(true, file, layer.pool);
  const std::string chosen = first.make_convolution(layer.conv)->kernel();
  first.save();
  const std::string text = text_of(file);
  EXPECT_TRUE(text.starts_with(cpu::processor_name() + ", 1 threads\t")) << text;

  // What the file says is taken, also when it is not the fastest.
  for (const std::string other : {"winograd", "direct"}) {
    std::ofstream(file) << text.substr(0, text.rfind('\t') + 1) << other << '\n';
    EXPECT_TRUE(Tuner(true, file, layer.pool).make_convolution(layer.conv)->kernel().starts_with(other));
  }
}

TEST(Tuner, MeasuresAgainWhatMakesNoSense) {
  const testing::TemporaryFolder folder;
  const auto file = folder.path() / "tuning.txt";
  TunedLayer layer;
  Tuner first(true, file, layer.pool);
  first.make_convolution(layer.conv);
  first.save();
  const std::string text = text_of(file);
  for (const std::string& broken : {std::string("\t\t\n\n\t"), std::string(1000, '\0'),
                                    text.substr(0, text.rfind('\t') + 1) + "depthwise\n"}) {
    std::ofstream(file) << broken;
    Tuner tuner(true, file, layer.pool);
    EXPECT_FALSE(tuner.make_convolution(layer.conv)->kernel().starts_with("depthwise"));
    tuner.save();
    EXPECT_NE(text_of(file).find(text.substr(0, text.rfind('\t') + 1)), std::string::npos);
  }
}

TEST(Tuner, KeepsWhatOtherMachinesMeasured) {
  const testing::TemporaryFolder folder;
  const auto file = folder.path() / "tuning.txt";
  std::ofstream(file) << "another processor, 1 threads\tlayer\tdirect\n";
  TunedLayer layer;
  Tuner tuner(true, file, layer.pool);
  tuner.make_convolution(layer.conv);
  tuner.save();
  EXPECT_NE(text_of(file).find("another processor, 1 threads\tlayer\tdirect\n"), std::string::npos);
}

TEST(Tuner, WithoutMeasuringTheRuleIsFixedAndThereIsNoFile) {
  const testing::TemporaryFolder folder;
  const auto file = folder.path() / "tuning.txt";
  TunedLayer layer;
  Tuner tuner(false, file, layer.pool);
  EXPECT_TRUE(tuner.make_convolution(layer.conv)->kernel().starts_with("winograd"));
  tuner.save();
  EXPECT_FALSE(std::filesystem::exists(file));
}

TEST(Tuner, AFolderThatCannotBeWrittenIsNoError) {
  TunedLayer layer;
  Tuner tuner(true, "/proc/nowhere/tuning.txt", layer.pool);
  tuner.make_convolution(layer.conv);
  EXPECT_NO_THROW(tuner.save());
}

// Whatever is chosen computes the same.
TEST(Tuner, EveryRivalMatchesTheOthers) {
  TunedLayer layer;
  for (size_t i = 0; i < layer.weight.values().size(); ++i)
    layer.weight.values()[i] = static_cast<float>(i % 11) * 0.1f - 0.5f;
  std::vector<std::vector<float>> results;
  for (const ConvImplementation& implementation : conv_implementations()) {
    if (!implementation.accepts(layer.conv)) continue;
    const StepPtr step = implementation.make(layer.conv);
    const int64_t map = layer.conv.src.image_stride;
    std::vector<float> memory(static_cast<size_t>(2 * map + step->shared_floats() + step->scratch_floats()));
    for (size_t i = 0; i < static_cast<size_t>(map); ++i) memory[i] = static_cast<float>(i % 13) * 0.2f - 1;
    RunContext context;
    context.arena = memory.data();
    context.shared = context.arena + 2 * map;
    context.scratch = context.shared + step->shared_floats();
    context.pool = &layer.pool;
    step->run(context);
    results.emplace_back(memory.begin() + map, memory.begin() + 2 * map);
  }
  ASSERT_EQ(results.size(), 2u);
  for (size_t i = 0; i < results[0].size(); ++i) EXPECT_NEAR(results[0][i], results[1][i], 2e-5);
}

}  // namespace
}  // namespace marrow::engine
