// The names and shapes of published files, as recorded in lists <network>_<source>.tsv beside the golden
// folder: each list is turned into a file of zeros, which must be recognised as that network of that source
// with nothing left over.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "marrow/nn/backbones/backbone.h"
#include "support/golden.h"

namespace marrow::nn {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostElements = 60'000'000;  // of zeros at a time: 240 MB

struct KeyList {
  std::string network;  // our name of the variant
  std::string source;   // "" when the file's name has none
  std::map<std::string, Shape> shapes;
};

Shape parse_shape(const std::string& text) {
  Shape shape;
  std::istringstream in(text == "scalar" ? "" : text);
  for (std::string dim; std::getline(in, dim, 'x');) shape.push_back(std::stoll(dim));
  return shape;
}

// "pplcnet_x1_0_paddle" -> pp_lcnet_x1_0 of paddle.
KeyList read_list(const fs::path& path) {
  KeyList list;
  std::string name = path.stem().string();
  const size_t underscore = name.rfind('_');
  for (const char* source :
       {"torchvision", "timm", "lukemelas", "megvii", "paddle", "seed", "train", "deploy"})
    if (name.substr(underscore + 1) == source) list.source = source;
  if (!list.source.empty()) name.resize(underscore);
  if (list.source == "train" || list.source == "deploy") list.source = "vanillanet";
  if (list.source == "seed") list.source = "ngnquan";
  if (name.starts_with("pplcnet")) name.replace(0, 7, "pp_lcnet");
  if (name.starts_with("shufflenetv2")) name.replace(0, 12, "shufflenet_v2");
  list.network = name;
  std::ifstream in(path);
  for (std::string key, shape; std::getline(in, key, '\t') && std::getline(in, shape);)
    list.shapes[key] = parse_shape(shape);
  return list;
}

TEST(KeyLists, AreRecognisedAsTheirNetworkAndSource) {
  const fs::path root = testing::beside_golden("spec") / "backbone_keys";
  MARROW_NEEDS(root);
  int lists = 0;
  for (const auto& entry : fs::directory_iterator(root)) {
    if (entry.path().extension() != ".tsv") continue;
    SCOPED_TRACE(entry.path().filename().string());
    const KeyList list = read_list(entry.path());
    int64_t elements = 0;
    for (const auto& [name, shape] : list.shapes) elements += element_count(shape);
    if (elements > kMostElements) continue;  // RenameCoversEveryKey checks these
    Weights state;
    for (const auto& [name, shape] : list.shapes) state.emplace(name, Tensor(shape));

    const auto candidates = recognise(state);
    bool found = false;
    for (const ImportCandidate& candidate : candidates) {
      EXPECT_EQ(candidate.classes, 1000) << candidate.choice.name;
      BackboneConfig config = {{"source", candidate.choice.config.at("source")}};
      if (candidate.choice.config.contains("deploy")) config["deploy"] = candidate.choice.config.at("deploy");
      found = found || (candidate.choice.config == choose_backbone(list.network, config).config &&
                        (list.source.empty() || list.source == config.at("source")));
    }
    EXPECT_TRUE(found) << candidates.size() << " others";
    ++lists;
  }
  EXPECT_GT(lists, 0);
}

// Every key, also of the lists that are too large to be made: tensors that hold their key's number stand for
// the real ones.
TEST(KeyLists, RenameCoversEveryKey) {
  const fs::path root = testing::beside_golden("spec") / "backbone_keys";
  MARROW_NEEDS(root);
  int lists = 0;
  for (const auto& entry : fs::directory_iterator(root)) {
    if (entry.path().extension() != ".tsv") continue;
    SCOPED_TRACE(entry.path().filename().string());
    const KeyList list = read_list(entry.path());
    Weights numbers;
    std::vector<const Shape*> shapes;
    for (const auto& [name, shape] : list.shapes) {
      numbers.emplace(name, Tensor::scalar(static_cast<float>(shapes.size())).reshape({1, 1}));
      shapes.push_back(&shape);
    }

    int layouts = 0;
    const BackboneFamily& family = *choose_backbone(list.network).family;
    for (const CheckpointLayout& layout : family.layouts) {
      bool fits = list.source.empty() || layout.source == list.source;
      for (const std::string& key : layout.signature) fits = fits && list.shapes.contains(key);
      if (!fits) continue;
      ++layouts;
      BackboneConfig config = layout.config;
      config["source"] = layout.source;
      const BackboneChoice choice = choose_backbone(list.network, config);
      const std::vector<weights::RenameRule> rules = layout.rules(choice.config);
      std::vector<std::string> unmatched;
      Weights renamed = weights::rename(numbers, rules, &unmatched);
      EXPECT_TRUE(unmatched.empty()) << unmatched.front();
      for (const Parameter& parameter : build_classifier(choice, 1000).parameters) {
        const auto found = renamed.find(parameter.name);
        if (found == renamed.end()) {
          EXPECT_TRUE(parameter.optional()) << parameter.name << " is filled by no key";
          continue;
        }
        Shape shape = *shapes[static_cast<size_t>(found->second.values()[0])];
        if (layout.source == "paddle" && shape.size() == 2) std::swap(shape[0], shape[1]);
        EXPECT_EQ(shape, parameter.shape) << parameter.name;
        renamed.erase(found);
      }
      EXPECT_TRUE(renamed.empty()) << renamed.begin()->first << " is no parameter";
    }
    EXPECT_EQ(layouts, 1);
    ++lists;
  }
  EXPECT_GT(lists, 0);
}

}  // namespace
}  // namespace marrow::nn
