// Where a frozen part ends, and what it makes of images.
#include "marrow/train/frozen_part.h"

#include <gtest/gtest.h>

#include "marrow/base/error.h"
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

TEST(FrozenPart, ComputesWhatTheNetworkHasThere) {
  for (const char* backbone : {"", "starnet_s2", "vanillanet_5"}) {
    SCOPED_TRACE(backbone);
    const model::Model model = model::make_model("yolov8n", backbone);
    Tensor images({2, 3, 64, 64}, DType::kUInt8);
    Random random(1, "pixels");
    for (uint8_t& pixel : images.values<uint8_t>()) pixel = static_cast<uint8_t>(random.below(256));
    const InputFormat& format = input_format(model.graph);
    Tensor input({1, 3, 64, 64});
    const auto second = images.values<uint8_t>().last(input.values().size());
    for (size_t i = 0; i < second.size(); ++i) {
      const size_t c = i / (64 * 64);
      input.values()[i] = static_cast<float>((second[i] * format.scale - format.mean[c]) / format.std[c]);
    }
    const Weights weights =
        reference::measure_batch_statistics(model.graph, randomize(model.graph, 1), input);
    FrozenPart part(model.graph, weights, frozen_parts(model, {"backbone"}), 2);
    std::vector<Tensor> maps;
    for (Shape shape : part.map_shapes(64)) {
      shape[0] = 3;
      maps.emplace_back(shape);
    }
    part.compute(images, 1, maps, 2);
    const std::vector<Tensor> wanted = reference::run_reference(model.graph, weights, input, part.border());
    ASSERT_EQ(wanted.size(), maps.size());
    for (size_t k = 0; k < maps.size(); ++k) {
      Tensor found(wanted[k].shape());
      std::ranges::copy(maps[k].values().last(found.values().size()), found.values().begin());
      EXPECT_LE(relative_difference(found, wanted[k]), 2e-5);
      EXPECT_EQ(maps[k].values().front(), 0);
    }
  }
}

}  // namespace
}  // namespace marrow::train
