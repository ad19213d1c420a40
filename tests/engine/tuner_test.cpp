// Choices of implementations: kept, read back, never trusted further than they make sense.
#include "marrow/engine/compile/tuner.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "marrow/cpu/processor.h"
#include "marrow/graph/builder.h"
#include "support.h"
#include "support/environment.h"
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

TEST(Tuner, MeasuresTheUpperRowsOfALargeLayer) {
  TunedLayer layer;
  EXPECT_EQ(measured_part(layer.conv).dst.height, 8);
  const Tensor weight(Shape{256, 256, 3, 3});  // 590 thousand multiply-adds a pixel
  layer.conv.weight = weight.values();
  layer.conv.src.width = layer.conv.dst.width = 40;
  layer.conv.src.height = layer.conv.dst.height = 40;
  const ConvDescription part = measured_part(layer.conv);
  EXPECT_EQ(part.dst.height, 16);  // 10 would do, and are too few to cut into tasks
  EXPECT_EQ(part.src.height, 16);
  EXPECT_EQ(part.dst.width, 40);
  layer.conv.kernel = 1;
  EXPECT_EQ(measured_part(layer.conv).dst.height, 10);  // 256 pixels would be 7 rows
  layer.conv.kernel = 3;
  layer.conv.src.height = 80;
  layer.conv.stride = 2;
  layer.conv.dst.width = 10;
  EXPECT_EQ(measured_part(layer.conv).dst.height, 40);
  layer.conv.dst.width = 12;
  EXPECT_EQ(measured_part(layer.conv).dst.height, 36);
  EXPECT_EQ(measured_part(layer.conv).src.height, 72);
  layer.conv.src.height = 81;
  EXPECT_EQ(measured_part(layer.conv).dst.height, 40) << "not twice as high";
}

// What is chosen of a part runs the whole, with a sum behind it too.
TEST(Tuner, RunsTheWholeOfWhatItMeasuredInPart) {
  GraphBuilder g;
  const Value x = g.max_pool(g.input(64), 1, 1);
  g.output("out", g.add(g.conv(x, "wide", {.out = 64, .kernel = 3}), x));
  const Graph graph = std::move(g).build();
  const Weights weights = randomize(graph, 3);
  const Tensor input = testing::noise({1, 64, 90, 110}, 3);  // 365 million multiply-adds
  const testing::TemporaryFolder folder;
  const testing::Environment cache("XDG_CACHE_HOME", folder.path().c_str());
  std::vector<Tensor> found;
  for (const bool autotune : {true, false}) {
    Engine engine(graph, weights, input.shape(), {}, {.threads = 1, .deploy = false, .autotune = autotune});
    engine.run(input);
    found.push_back(engine.output(0).clone());
  }
  EXPECT_LE(relative_difference(found[0], found[1]), 2e-5);
  const std::string text = text_of(Tuner::default_file());
  EXPECT_NE(text.find("3x3/1 64x90x110 -> 64x90x110"), std::string::npos) << text;
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
