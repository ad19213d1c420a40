#include "marrow/weights/load_report.h"

#include <gtest/gtest.h>

#include "marrow/graph/builder.h"

namespace marrow::weights {
namespace {

Graph two_layers() {
  GraphBuilder g;
  Value x = g.input(3);
  {
    auto model = g.scope("model");
    x = g.batch_norm(g.conv(x, "2", {.out = 4, .kernel = 3}), "10");
  }
  g.output("out", g.leaky_relu(x, g.scalar("act_learn", 1)));
  return std::move(g).build();
}

TEST(LoadReport, SortsEveryTensorIntoOneOfFour) {
  const Graph graph = two_layers();
  Weights weights = initialize(graph, 0);
  Weights source = {{"model.2.weight", Tensor({4, 3, 1, 1})}, {"extra", Tensor({1})}};
  for (const char* name : {"model.10.weight", "model.10.bias", "model.10.running_mean"})
    source[name] = Tensor({4});
  const LoadReport report = load_weights(graph, source, weights);
  EXPECT_EQ(report.loaded.size(), 3u);
  ASSERT_EQ(report.mismatched.size(), 1u);
  EXPECT_EQ(report.mismatched[0].wanted, (Shape{4, 3, 3, 3}));
  EXPECT_EQ(report.missing,
            std::vector<std::string>{"model.10.running_var"});  // not the counter, not the scalar
  EXPECT_EQ(report.unused, std::vector<std::string>{"extra"});
  EXPECT_EQ(weights["model.10.weight"].values()[0], 0);
  const auto share_below = [&](const char* prefix) {
    return report.loaded_share([&](const std::string& name) { return name.starts_with(prefix); });
  };
  EXPECT_DOUBLE_EQ(share_below(""), 3.0 / 5);
  EXPECT_DOUBLE_EQ(share_below("model.10."), 3.0 / 4);
  EXPECT_DOUBLE_EQ(share_below("nowhere."), 1);
}

TEST(LoadReport, PrintsByModuleInNaturalOrder) {
  const Graph graph = two_layers();
  Weights weights = initialize(graph, 0);
  const std::string text =
      to_string(load_weights(graph, {{"model.2.weight", Tensor({4, 3, 1, 1})}}, weights));
  EXPECT_LT(text.find("model.2 "), text.find("model.10 "));
  EXPECT_NE(text.find("model.2.weight is (4, 3, 1, 1); the model wants (4, 3, 3, 3)"), std::string::npos)
      << text;
}

TEST(LoadReport, HalvesBecomeFloats) {
  const Graph graph = two_layers();
  Weights weights = initialize(graph, 0);
  Tensor half({4}, DType::kFloat16);
  reinterpret_cast<uint16_t*>(half.bytes())[2] = 0x3c00;
  load_weights(graph, {{"model.10.bias", half}}, weights);
  EXPECT_EQ(weights["model.10.bias"].dtype(), DType::kFloat32);
  EXPECT_EQ(weights["model.10.bias"].values()[2], 1.f);
}

}  // namespace
}  // namespace marrow::weights
