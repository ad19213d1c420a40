// Where a frozen part ends, and what it makes of images.
#include "marrow/train/frozen_part.h"

#include <gtest/gtest.h>

#include "marrow/base/error.h"
#include "marrow/graph/builder.h"
#include "marrow/graph/reference/executor.h"
#include "marrow/model/zoo.h"
#include "marrow/train/start_model.h"
#include "support/expect_says.h"
#include "support/message_of.h"

namespace marrow::train {
namespace {

FrozenPart part_of(const model::Model& model, const std::vector<std::string>& freeze) {
  return FrozenPart(model.graph, initialize(model.graph, 1), frozen_parts(model, freeze), 1);
}

TEST(FrozenPart, EndsWithTheMapsThatTheNeckReads) {
  const model::Model model = model::make_model("yolov8n");
  const FrozenPart part = part_of(model, {"backbone"});
  std::vector<std::string> layers;
  for (const Value value : part.border()) layers.push_back(model.graph.node(value).name);
  ASSERT_EQ(layers.size(), 3u);
  EXPECT_SAYS(layers[0], "model.4.cv2");
  EXPECT_SAYS(layers[1], "model.6.cv2");
  EXPECT_SAYS(layers[2], "model.9.cv2");
  EXPECT_EQ(part.map_shapes(64), (std::vector<Shape>{{1, 64, 8, 8}, {1, 128, 4, 4}, {1, 256, 2, 2}}));
  // The layers before, or the neck, too.
  EXPECT_EQ(part_of(model, {"0", "1", "2"}).map_shapes(64), (std::vector<Shape>{{1, 32, 16, 16}}));
  std::vector<std::string> all_but_head;
  for (int i = 0; i < 22; ++i) all_but_head.push_back(std::to_string(i));
  EXPECT_EQ(part_of(model, all_but_head).map_shapes(64),
            (std::vector<Shape>{{1, 64, 8, 8}, {1, 128, 4, 4}, {1, 256, 2, 2}}));
  // What the loss reads may be still, too.
  all_but_head.push_back("22.cv2");
  EXPECT_EQ(part_of(model, all_but_head).map_shapes(64).size(), 6u);
  EXPECT_SAYS(testing::message_of(
                  [&] {
                    part_of(model, {"1", "22"});
                  },
                  ErrorKind::kUsage),
              "the first layer is trained");
}

// Layers of which some drop paths and elements in training, and a slope that is 1 where it does not grow.
TEST(FrozenPart, ComputesWhatTheNetworkHasThere) {
  GraphBuilder g;
  const auto layer = [&](Value in, const char* name, const ConvOptions& options) {
    const auto scope = g.scope(name);
    return g.leaky_relu(g.batch_norm(g.conv(in, "conv", options), "bn"), g.scalar("slope", 0));
  };
  InputFormat format;
  format.mean = {0.4, 0.5, 0.6};
  format.std = {0.2, 0.3, 0.4};
  const Value stem = layer(g.input(3, format), "still.stem", {.out = 12, .kernel = 3, .stride = 4});
  const Value deep =
      g.dropout(g.add(stem, g.drop_path(layer(stem, "still.deep", {.out = 12}), 0.5)), 0.3, false);
  const Value maps = layer(g.concat({deep, stem}), "head", {.out = 4 * 4 + 2, .kernel = 3, .stride = 2});
  g.output("output0", g.detect_decode({&maps, 1}, "dfl", 2, 4));
  const Graph graph = std::move(g).build();

  Weights weights = randomize(graph, 1);
  weights["still.stem.slope"] = Tensor::scalar(0.25F);
  FrozenPart part(graph, weights, {"still."}, 2);
  EXPECT_EQ(part.border(), (std::vector<Value>{stem, deep}));
  constexpr int kSide = 40;
  Tensor images({2, 3, kSide, kSide}, DType::kUInt8);
  Random random(1, "pixels");
  for (uint8_t& pixel : images.values<uint8_t>()) pixel = static_cast<uint8_t>(random.below(256));
  std::vector<Tensor> found;
  for (Shape shape : part.map_shapes(kSide)) {
    shape[0] = 3;
    found.emplace_back(shape);
  }
  part.compute(images, 1, found, 2);

  Tensor input({1, 3, kSide, kSide});
  const auto second = images.values<uint8_t>().last(input.values().size());
  for (size_t i = 0; i < second.size(); ++i) {
    const size_t c = i / (kSide * kSide);
    input.values()[i] = static_cast<float>((second[i] * format.scale - format.mean[c]) / format.std[c]);
  }
  for (const Parameter& parameter : graph.parameters)
    if (parameter.role == ParameterRole::kScalar) weights[parameter.name] = Tensor::scalar(1);
  const std::vector<Tensor> wanted = reference::run_reference(graph, weights, input, part.border());
  ASSERT_EQ(wanted.size(), found.size());
  for (size_t k = 0; k < found.size(); ++k) {
    Tensor map(wanted[k].shape());
    std::ranges::copy(found[k].values().last(map.values().size()), map.values().begin());
    EXPECT_LE(relative_difference(map, wanted[k]), 1e-6);
    EXPECT_EQ(found[k].values().front(), 0);
  }
}

}  // namespace
}  // namespace marrow::train
