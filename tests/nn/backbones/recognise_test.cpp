#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "marrow/base/error.h"
#include "marrow/graph/reference/executor.h"
#include "nn/backbones/published_file.h"
#include "support/expect_says.h"
#include "support/message_of.h"

namespace marrow::nn {
namespace {

using testing::message_of;
using testing::published_file;
using Names = std::vector<std::string>;

Names names_of(const std::vector<ImportCandidate>& candidates) {
  Names names;
  for (const ImportCandidate& candidate : candidates)
    names.push_back(candidate.choice.name + " of " + candidate.choice.config.at("source").get<std::string>());
  return names;
}

int64_t parameter_count(const BackboneChoice& choice) {
  int64_t count = 0;
  for (const Parameter& parameter : build_classifier(choice, 10).parameters)
    count += element_count(parameter.shape);
  return count;
}

// Every layout of every variant; the largest are left to tests that need not allocate them.
TEST(Recognise, FindsEveryVariantInEveryLayout) {
  for (const BackboneFamily* family : backbone_families())
    for (const BackboneVariant& variant : family->variants)
      for (const CheckpointLayout& layout : family->layouts) {
        if (variant.config.contains("source") && variant.config.at("source") != layout.source) continue;
        BackboneConfig config = layout.config;
        config["source"] = layout.source;
        const BackboneChoice choice = choose_backbone(variant.name, config);
        if (parameter_count(choice) > 13'000'000) continue;
        SCOPED_TRACE(choice.name + " " + choice.config.dump());
        const Weights file = published_file(choice, layout, 10);
        if (choice.config.value("detection", false)) {
          // Only Marrow writes the files of ShuffleNet V2*; they are torchvision's with more tensors.
          EXPECT_EQ(recognise(file, variant.name, layout.source).size(), 1u);
          continue;
        }
        const auto candidates = recognise(file, "", layout.source);
        const auto same = [&](const ImportCandidate& c) { return c.choice.config == choice.config; };
        const auto found = std::ranges::find_if(candidates, same);
        ASSERT_NE(found, candidates.end());
        EXPECT_EQ(found->classes, 10);
        EXPECT_NO_THROW(verify(build_classifier(found->choice, found->classes), found->weights));
      }
}

TEST(Recognise, TellsVariantsByWhatWouldBeLeftOver) {
  // B1 holds every tensor of B0 in the same shapes, and more.
  EXPECT_EQ(names_of(recognise(published_file("efficientnet_b0"))), Names{"efficientnet_b0 of torchvision"});
  EXPECT_EQ(names_of(recognise(published_file("efficientnet_b1"))), Names{"efficientnet_b1 of torchvision"});
}

TEST(Recognise, ReadsTheClassesOffTheHeadAndDoesWithoutOne) {
  Weights state = published_file("starnet_s050", {}, 7);
  EXPECT_EQ(recognise(state).at(0).classes, 7);
  state.erase("head.bias");
  EXPECT_EQ(recognise(state).at(0).classes, 0);
  for (const char* name :
       {"head.weight", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"})
    state.erase(name);
  EXPECT_EQ(recognise(state).at(0).classes, 0);
}

// timm spells efficientnet_b0 and tf_efficientnet_b0 alike: only the user knows the padding.
TEST(Recognise, ListsWhatTheFileLeavesOpen) {
  const Weights timm = published_file("efficientnet_b0", {{"source", "timm"}});
  EXPECT_EQ(names_of(recognise(timm)), (Names{"efficientnet_b0 of timm", "tf_efficientnet_b0 of tf"}));
  EXPECT_EQ(names_of(recognise(timm, "efficientnet_b0")), Names{"efficientnet_b0 of timm"});
  EXPECT_EQ(names_of(recognise(timm, "tf_efficientnet_b0")), Names{"tf_efficientnet_b0 of tf"});
  EXPECT_EQ(names_of(recognise(timm, "", "TF")), Names{"efficientnet_b0 of tf"});
  EXPECT_EQ(names_of(recognise(timm, "efficientnet", "timm")), Names{"efficientnet_b0 of timm"});
}

// Strides leave no trace in the shapes, so the user's are taken as they are.
TEST(Recognise, CannotTellVanillaNetsStrides) {
  const auto config = [](std::vector<int> strides) {
    return BackboneConfig{{"dims", {16, 16, 32, 64, 64}}, {"strides", std::move(strides)}};
  };
  const Weights state = published_file("vanillanet", config({2, 2, 2, 1}));
  for (const BackboneConfig& wanted : {config({2, 2, 2, 1}), config({1, 2, 2, 2})})
    EXPECT_EQ(recognise(state, "vanillanet", "", wanted).at(0).choice.config.at("strides"),
              wanted.at("strides"));
  EXPECT_SAYS(message_of([&] { recognise(state); }, ErrorKind::kModel), "vanillanet");
}

TEST(Recognise, FoldsRedundantDepthwiseBiases) {
  Weights state = published_file("shufflenet_v2_x0_5");
  const BackboneChoice choice = recognise(state).at(0).choice;
  const Graph graph = build_classifier(choice, 10);
  state = randomize(graph, 5);
  Weights ported = state;
  // The port's depthwise convolutions add a bias, and its batch norms' means have it in them.
  for (const auto& [conv, norm] : {std::pair("stage3.0.branch1.0", "stage3.0.branch1.1"),
                                   std::pair("stage2.2.branch2.3", "stage2.2.branch2.4")}) {
    Tensor mean = state.at(std::string(norm) + ".running_mean").clone();
    Tensor bias(mean.shape());
    for (size_t i = 0; i < mean.values().size(); ++i) {
      bias.values()[i] = 0.25f * static_cast<float>(i % 3);
      mean.values()[i] += bias.values()[i];
    }
    ported[std::string(conv) + ".bias"] = bias;
    ported[std::string(norm) + ".running_mean"] = mean;
  }
  const auto candidates = recognise(ported);
  ASSERT_EQ(candidates.size(), 1u);
  for (const auto& [name, tensor] : candidates[0].weights)
    EXPECT_LE(relative_difference(tensor.to_float(), state.at(name).to_float()), 1e-6) << name;
  EXPECT_EQ(candidates[0].weights.size(), state.size());
}

TEST(Recognise, SaysWhichTensorDoesNotFit) {
  Weights state = published_file("starnet_s1");
  state["stages.2.3.f1.conv.weight"] = Tensor({8, 8, 1, 1});
  EXPECT_EQ(message_of([&] { recognise(state); }, ErrorKind::kModel),
            "the file's names are those of 'starnet_s1' (rewrite-the-stars), but it differs in 1 place; "
            "first: tensor 'stages.2.3.f1.conv.weight' is (8, 8, 1, 1); the model wants (384, 96, 1, 1)");
  state = published_file("starnet_s1");
  EXPECT_SAYS(message_of([&] { recognise(state, "starnet_s2"); }, ErrorKind::kModel), "'starnet_s2'");
}

// timm's lcnet and EfficientNet share most of their names.
TEST(Recognise, DoesNotTakeAnUnpublishedEfficientNetForAnLcnet) {
  const Weights state = published_file("efficientnet", {{"source", "timm"}, {"width", 0.5}});
  EXPECT_SAYS(message_of([&] { recognise(state); }, ErrorKind::kModel), "'efficientnet_b0' (timm)");
}

TEST(Recognise, IsSilentAboutForeignFiles) {
  EXPECT_TRUE(recognise({}).empty());
  EXPECT_TRUE(recognise({{"model.0.conv.weight", Tensor({16, 3, 3, 3})}}).empty());
  EXPECT_TRUE(recognise(published_file("starnet_s1"), "", "megvii").empty());
}

TEST(Recognise, RefusesUnknownNamesAndSources) {
  EXPECT_SAYS(message_of([] { recognise({}, "starnet_s5"); }, ErrorKind::kModel), "Did you mean");
  EXPECT_SAYS(message_of([] { recognise({}, "", "torchvison"); }, ErrorKind::kModel),
              "Did you mean 'torchvision'?");
}

// A hostile head must not make a large graph.
TEST(Recognise, BoundsTheClasses) {
  Weights state = published_file("starnet_s050");
  state["head.weight"] = Tensor({0, 128});
  EXPECT_EQ(recognise(state).at(0).classes, 0);
  state["head.weight"] = Tensor(Shape{});
  EXPECT_EQ(recognise(state).at(0).classes, 0);
}

TEST(Recognise, TakesLessThanASecond) {
  const Weights state = published_file("efficientnet_b4", {{"source", "lukemelas"}});
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(names_of(recognise(state)), Names{"efficientnet_b4 of lukemelas"});
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
}

}  // namespace
}  // namespace marrow::nn
