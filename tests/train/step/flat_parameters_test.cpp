#include "marrow/train/step/flat_parameters.h"

#include <gtest/gtest.h>

#include <limits>
#include <set>

#include "small_parameters.h"
#include "support/largest_difference.h"
#include "support/message_of.h"

namespace marrow::train {
namespace {

using testing::graph_with_all_roles;
using testing::message_of;

Weights counted_weights(uint64_t seed, int64_t count) {
  Weights weights = randomize(graph_with_all_roles(), seed);
  weights.at("bn.num_batches_tracked").values<int64_t>()[0] = count;
  return weights;
}

void expect_equal(const Weights& a, const Weights& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) {
    ASSERT_TRUE(b.contains(name)) << name;
    EXPECT_EQ(tensor.dtype(), b.at(name).dtype()) << name;
    EXPECT_EQ(testing::largest_difference(tensor, b.at(name)), 0) << name;
  }
}

TEST(FlatParameters, HoldTheTrainedOnesFirstInAlignedSpans) {
  const Graph graph = graph_with_all_roles();
  FlatParameters parameters(graph, {"fc."});
  std::set<std::string> names;
  int64_t end = 0;
  bool trained = true;
  for (const FlatParameters::Entry& entry : parameters.entries()) {
    SCOPED_TRACE(entry.name);
    names.insert(entry.name);
    EXPECT_EQ(entry.begin, end);
    EXPECT_EQ(entry.begin % 16, 0);
    EXPECT_GE(entry.end(), entry.begin + entry.size);
    end = entry.end();
    EXPECT_EQ(entry.trained, graph.find_parameter(entry.name)->trainable() && !entry.name.starts_with("fc."));
    if (!entry.trained && trained) {
      EXPECT_EQ(parameters.trained_size(), entry.begin);
    }
    EXPECT_LE(entry.trained, trained);
    trained = entry.trained;
    EXPECT_EQ(parameters.value(entry.name).data(), parameters.all_weights().data() + entry.begin);
    EXPECT_EQ(static_cast<int64_t>(parameters.value(entry.name).size()), entry.size);
  }
  EXPECT_FALSE(trained);
  EXPECT_EQ(parameters.size(), end);
  EXPECT_EQ(names.size() + 1, graph.parameters.size());  // the counter is apart
  EXPECT_EQ(reinterpret_cast<uintptr_t>(parameters.all_weights().data()) % 64, 0U);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(parameters.all_gradients().data()) % 64, 0U);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(parameters.all_average().data()) % 64, 0U);
}

TEST(FlatParameters, LieInTheOrderAskedFor) {
  const std::vector<std::string> order = {"fc.bias", "wide.weight", "conv.bias"};
  const FlatParameters parameters(graph_with_all_roles(), {"conv.weight"}, order);
  std::vector<std::string> trained;
  for (const FlatParameters::Entry& entry : parameters.entries())
    if (entry.trained) trained.push_back(entry.name);
  EXPECT_EQ(trained, (std::vector<std::string>{"fc.bias", "wide.weight", "conv.bias", "bn.weight", "bn.bias",
                                               "fc.weight"}));
}

TEST(FlatParameters, GiveBackWhatTheyLoaded) {
  const Weights weights = counted_weights(1, 12), average = counted_weights(2, 5);
  FlatParameters parameters(graph_with_all_roles(), {"fc."});
  parameters.load(weights, average);
  expect_equal(parameters.weights(), weights);
  expect_equal(parameters.average(), average);
  EXPECT_EQ(parameters.average_value("fc.weight")[3], average.at("fc.weight").values()[3]);
  EXPECT_EQ(parameters.counter("bn.num_batches_tracked"), 12);
  EXPECT_EQ(parameters.scalar("slope"), weights.at("slope").values()[0]);

  parameters.set_scalar("slope", 0.75);
  ++parameters.counter("bn.num_batches_tracked");
  EXPECT_EQ(parameters.weights().at("slope").values()[0], 0.75F);
  EXPECT_EQ(parameters.average().at("slope").values()[0], 0.75F);
  EXPECT_EQ(parameters.weights().at("bn.num_batches_tracked").values<int64_t>()[0], 13);
  EXPECT_EQ(parameters.average().at("bn.num_batches_tracked").values<int64_t>()[0], 5);
}

TEST(FlatParameters, TakeOptionalOnesFromAFreshModel) {
  Weights weights = counted_weights(1, 12);
  for (const char* name : {"slope", "bn.num_batches_tracked"}) weights.erase(name);
  FlatParameters parameters(graph_with_all_roles());
  parameters.load(counted_weights(3, 4), counted_weights(3, 4));
  parameters.load(weights, weights);
  EXPECT_EQ(parameters.scalar("slope"), 0.5F);
  EXPECT_EQ(parameters.counter("bn.num_batches_tracked"), 0);
}

TEST(FlatParameters, RefuseWhatDoesNotFitAndStayAsTheyWere) {
  const Weights weights = counted_weights(1, 12);
  FlatParameters parameters(graph_with_all_roles());
  parameters.load(weights, weights);
  Weights lacking = counted_weights(2, 1);
  lacking.erase("conv.bias");
  EXPECT_EQ(message_of([&] { parameters.load(lacking, weights); }, ErrorKind::kModel),
            "tensor 'conv.bias' (5) is missing");
  Weights wrong = counted_weights(2, 1);
  wrong["conv.bias"] = Tensor({6});
  EXPECT_EQ(message_of([&] { parameters.load(counted_weights(2, 1), wrong); }, ErrorKind::kModel),
            "tensor 'conv.bias' is (6); the model wants (5)");
  expect_equal(parameters.weights(), weights);
  expect_equal(parameters.average(), weights);

  EXPECT_EQ(message_of(
                [] {
                  FlatParameters(graph_with_all_roles(), {"conv.", "model.3."});
                },
                ErrorKind::kModel),
            "freeze: no parameter's name contains 'model.3.'");
  EXPECT_EQ(message_of([&] { parameters.value("conv.biass"); }, ErrorKind::kModel),
            "the model has no parameter 'conv.biass'. Did you mean 'conv.bias'?");
  EXPECT_EQ(message_of([&] { parameters.gradient("bins"); }, ErrorKind::kModel),
            "parameter 'bins' is not trained");
  EXPECT_EQ(message_of([&] { parameters.counter("slope"); }, ErrorKind::kModel),
            "the model has no counter 'slope'");
}

TEST(FlatParameters, NameTheFirstThatIsNotFinite) {
  FlatParameters parameters(graph_with_all_roles());
  parameters.load(counted_weights(1, 0), counted_weights(1, 0));
  EXPECT_EQ(parameters.non_finite_parameter(), "");
  parameters.value("fc.weight")[2] = std::numeric_limits<float>::quiet_NaN();
  parameters.value("bn.running_var")[0] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(parameters.non_finite_parameter(), "bn.running_var");

  parameters.gradient("fc.bias")[1] = parameters.gradient("wide.weight")[0] =
      std::numeric_limits<float>::infinity();
  EXPECT_EQ(parameters.non_finite_gradient(), "");  // nothing was set
  parameters.set_has_gradient("wide.weight");
  EXPECT_EQ(parameters.non_finite_gradient(), "wide.weight");
  parameters.set_has_gradient("fc.bias");
  EXPECT_EQ(parameters.non_finite_gradient(), "fc.bias");
  parameters.drop_gradients();
  EXPECT_EQ(parameters.non_finite_gradient(), "");
}

}  // namespace
}  // namespace marrow::train
