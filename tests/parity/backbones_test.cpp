// The five families against the published implementations: every checkpoint of every case, imported as a user
// would, run on every executor. The cases are found, not named: golden/backbones/README.md.
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <set>

#include "marrow/nn/backbones/backbone.h"
#include "marrow/weights/checkpoint_file.h"
#include "marrow/weights/safetensors.h"
#include "support/executors.h"
#include "support/golden.h"
#include "support/read_json.h"

namespace marrow {
namespace {

namespace fs = std::filesystem;

// README's table: max |a - b| / max |b|.
double tolerance_of(const std::string& family) {
  if (family == "shufflenet_v2") return 2e-4;
  if (family == "efficientnet") return 1e-4;
  return 5e-5;
}

// "odd.train_a037.c3": the second input, the form of the network, the value.
struct OutputName {
  bool odd = false;
  std::string form;
  std::string value;
};

OutputName parse_output_name(std::string name) {
  OutputName parsed;
  if (name.starts_with("odd.")) {
    parsed.odd = true;
    name.erase(0, 4);
  }
  if (const size_t dot = name.find('.'); dot != std::string::npos) {
    parsed.form = name.substr(0, dot);
    name.erase(0, dot + 1);
  }
  parsed.value = name;
  return parsed;
}

// The key of the checkpoint that a form names, or "".
std::string key_of(const std::string& form) {
  return form.starts_with("model") ? form : "";
}

struct BackboneCase {
  nlohmann::json json;
  fs::path folder;
  Weights io;
};

// Compares all outputs of one form for one input; adds what was compared to `covered`.
void compare_form(const BackboneCase& test, const nn::ImportCandidate& network, const std::string& form,
                  bool odd, std::set<std::string>& covered) {
  const Graph graph = nn::build_classifier(network.choice, network.classes);
  Weights weights = network.weights;
  if (form.starts_with("train_a"))
    weights["act_learn"] = Tensor::scalar(std::strtof(form.substr(7).c_str(), nullptr) / 100);
  else if (graph.find_parameter("act_learn") != nullptr)
    weights["act_learn"] = Tensor::scalar(1);
  ASSERT_NO_THROW(verify(graph, weights));

  std::vector<std::string> names, values;
  for (const auto& entry : test.io) {
    if (entry.first == "input" || entry.first == "odd") continue;
    const OutputName output = parse_output_name(entry.first);
    if (output.form != form || output.odd != odd) continue;
    names.push_back(entry.first);
    values.push_back(output.value);
  }
  if (names.empty()) return;
  const double tolerance = tolerance_of(network.choice.family->name);
  for (const auto& run :
       testing::run_in_every_form(graph, weights, test.io.at(odd ? "odd" : "input"), values)) {
    SCOPED_TRACE(run.executor);
    for (size_t i = 0; i < names.size(); ++i) {
      const Tensor& expected = test.io.at(names[i]);
      ASSERT_EQ(run.values[i].shape(), expected.shape()) << names[i];
      EXPECT_LE(relative_difference(run.values[i], expected), tolerance) << names[i];
      covered.insert(names[i]);
    }
  }
}

void compare_backbone(const BackboneCase& test) {
  std::set<std::string> forms;
  std::set<std::string> wanted;
  for (const auto& entry : test.io) {
    if (entry.first == "input" || entry.first == "odd") continue;
    forms.insert(parse_output_name(entry.first).form);
    wanted.insert(entry.first);
  }
  std::set<std::string> covered;
  for (const std::string file : test.json.at("checkpoints")) {
    SCOPED_TRACE(file);
    for (const std::string& form : forms) {
      const weights::Checkpoint checkpoint =
          weights::read_checkpoint(test.folder / file, {.key = key_of(form)});
      const auto candidates =
          nn::recognise(checkpoint.state, test.json.at("family").get<std::string>(),
                        test.json.at("source").get<std::string>(), test.json.at("config"));
      ASSERT_EQ(candidates.size(), 1u);
      EXPECT_EQ(candidates[0].classes, test.json.at("num_classes"));
      const bool deploy = candidates[0].choice.config.value("deploy", false);
      if (deploy ? form.starts_with("train_a") : form == "deploy") continue;
      for (const bool odd : {false, true})
        ASSERT_NO_FATAL_FAILURE(compare_form(test, candidates[0], form, odd, covered));
    }
  }
  EXPECT_EQ(covered, wanted) << "some outputs were compared with nothing";
}

TEST(parity_backbones, EveryCheckpointGivesTheRecordedOutputs) {
  const auto cases = testing::golden_files("backbones", {"case.json"});
  MARROW_NEEDS_GOLDEN(cases, "backbones");
  for (const fs::path& description : cases) {
    const fs::path folder = description.parent_path();
    SCOPED_TRACE(folder.string());
    compare_backbone({testing::read_json(description), folder,
                      weights::read_safetensors(folder / "io.safetensors").tensors});
  }
}

}  // namespace
}  // namespace marrow
