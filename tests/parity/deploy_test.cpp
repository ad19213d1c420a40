// The published deploy form of a network comes out of the passes, which know nothing of the network: wherever
// a folder of golden/backbones holds one network in both forms.
#include "marrow/graph/passes/deploy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "marrow/graph/reference/executor.h"
#include "marrow/nn/backbones/backbone.h"
#include "marrow/weights/checkpoint_file.h"
#include "marrow/weights/safetensors.h"
#include "support/golden.h"
#include "support/read_json.h"

namespace marrow {
namespace {

namespace fs = std::filesystem;

// README: a correct fuse reproduces the weights within rtol 1e-4 and 1e-6 of the largest, the outputs within
// 5e-5.
constexpr double kRelative = 1e-4;
constexpr double kOfLargest = 1e-6;
constexpr double kOutputs = 5e-5;

void expect_close(const Tensor& found, const Tensor& wanted) {
  ASSERT_EQ(found.shape(), wanted.shape());
  double largest = 0;
  for (const float w : wanted.values()) largest = std::max(largest, std::abs(double{w}));
  size_t apart = 0;
  for (size_t i = 0; i < wanted.values().size(); ++i) {
    const double w = wanted.values()[i], difference = std::abs(found.values()[i] - w);
    if (!(difference <= kOfLargest * largest + kRelative * std::abs(w))) ++apart;
  }
  EXPECT_EQ(apart, 0u) << "of " << wanted.values().size();
}

std::vector<nn::ImportCandidate> networks_of(const fs::path& folder, const nlohmann::json& description,
                                             bool deployed) {
  std::vector<nn::ImportCandidate> networks;
  for (const std::string file : description.at("checkpoints")) {
    auto found = nn::recognise(weights::read_checkpoint(folder / file).state,
                               description.at("family").get<std::string>(),
                               description.at("source").get<std::string>(), description.at("config"));
    EXPECT_EQ(found.size(), 1u) << file;
    if (found.size() == 1 && found[0].choice.config.value("deploy", false) == deployed)
      networks.push_back(std::move(found[0]));
  }
  return networks;
}

// Node by node the same network, whatever its parameters are called.
void expect_same(const passes::GraphWithWeights& found, const passes::GraphWithWeights& wanted) {
  ASSERT_EQ(found.graph.nodes.size(), wanted.graph.nodes.size()) << to_string(found.graph);
  ASSERT_EQ(found.graph.parameters.size(), wanted.graph.parameters.size());
  for (size_t i = 0; i < wanted.graph.nodes.size(); ++i) {
    const auto a = parameter_names(found.graph.nodes[i].operation),
               b = parameter_names(wanted.graph.nodes[i].operation);
    EXPECT_EQ(found.graph.nodes[i].operation.index(), wanted.graph.nodes[i].operation.index());
    ASSERT_EQ(a.size(), b.size());
    for (size_t k = 0; k < a.size(); ++k) {
      SCOPED_TRACE(b[k]);
      expect_close(found.weights.at(a[k]).to_float(), wanted.weights.at(b[k]).to_float());
    }
  }
}

void expect_recorded_outputs(const passes::GraphWithWeights& found, const Weights& io) {
  int compared = 0;
  for (const auto& [name, expected] : io) {
    const bool odd = name.starts_with("odd.deploy.");
    if (!odd && !name.starts_with("deploy.")) continue;
    const std::string value = name.substr(name.rfind('.') + 1);
    EXPECT_LE(relative_difference(
                  reference::run_reference(found.graph, found.weights, io.at(odd ? "odd" : "input"), value),
                  expected),
              kOutputs)
        << name;
    ++compared;
  }
  EXPECT_GT(compared, 0);
}

TEST(parity_deploy, PassesGiveThePublishedDeployForm) {
  const auto cases = testing::golden_files("backbones", {"case.json"});
  MARROW_NEEDS_GOLDEN(cases, "backbones");
  int pairs = 0;
  for (const fs::path& path : cases) {
    const fs::path folder = path.parent_path();
    SCOPED_TRACE(folder.string());
    const auto description = testing::read_json(path);
    const Weights io = weights::read_safetensors(folder / "io.safetensors").tensors;
    for (const nn::ImportCandidate& published : networks_of(folder, description, true))
      for (const nn::ImportCandidate& trained : networks_of(folder, description, false)) {
        const auto network = [](const nn::ImportCandidate& candidate) {
          const Graph graph = nn::build_classifier(candidate.choice, candidate.classes);
          Weights weights = candidate.weights;
          initialize_missing(graph, 0, weights);  // the slope, which is 1 at the end of training
          return passes::GraphWithWeights{graph, weights};
        };
        const passes::GraphWithWeights found = passes::deploy(network(trained));
        expect_same(found, passes::deploy(network(published)));
        expect_recorded_outputs(found, io);
        ++pairs;
      }
  }
  EXPECT_GT(pairs, 0);
}

}  // namespace
}  // namespace marrow
