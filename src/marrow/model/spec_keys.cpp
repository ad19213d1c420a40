#include "marrow/model/spec_keys.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "marrow/base/text.h"

namespace marrow::model {
namespace {

constexpr std::array<std::string_view, 3> kNamedKeys = {"head_channel", "node_mode", "fusion_mode"};

// Of training, of datasets, of other programs.
const std::set<std::string, std::less<>>& keys_of_nothing() {
  static const std::set<std::string, std::less<>> keys = {"loss",
                                                          "bbox_loss_type",
                                                          "cls_loss_type",
                                                          "cls_alpha",
                                                          "cls_beta",
                                                          "cls_gamma",
                                                          "hyp",
                                                          "newhead",
                                                          "text_model",
                                                          "task",
                                                          "path",
                                                          "train",
                                                          "val",
                                                          "test",
                                                          "download",
                                                          "author",
                                                          "version",
                                                          "anchors",
                                                          "Warehouse_Manager",
                                                          "Warehouse_Manager_Ratio",
                                                          "npu_channels"};
  return keys;
}

}  // namespace

const std::vector<std::string>& network_keys() {
  static const std::vector<std::string> keys = {"nc",
                                                "scales",
                                                "scale",
                                                "depth_multiple",
                                                "width_multiple",
                                                "activation",
                                                "act",
                                                "kpt_shape",
                                                "ch",
                                                "channels",
                                                "backbone",
                                                "head",
                                                "classifier",
                                                "settings",
                                                "names",
                                                "yaml_file",
                                                "unit_activations",
                                                "class_branch",
                                                "head_channel",
                                                "node_mode",
                                                "fusion_mode",
                                                "depthwise_class_branch",
                                                "reg_max",
                                                "end2end"};
  return keys;
}

KeyMeaning meaning_of_key(std::string_view key, const YamlValue& value) {
  if (std::ranges::find(kNamedKeys, key) != kNamedKeys.end()) return KeyMeaning::kNamed;
  if (std::ranges::find(network_keys(), key) != network_keys().end()) return KeyMeaning::kNetwork;
  if (keys_of_nothing().contains(key)) return KeyMeaning::kNothing;
  if (key.size() == 1 && value.is_list()) return KeyMeaning::kNothing;  // a letter of `scales`, not indented
  // Blocks that only hold anchors for aliases: no line can name a mapping or a list. A misspelled key is
  // none.
  static const std::vector<std::string> kBlocks = {
      "scales", "backbone", "head", "names", "settings", "kpt_shape", "unit_activations"};
  if ((value.is_map() || value.is_list()) && nearest_name(key, kBlocks).empty()) return KeyMeaning::kNothing;
  return KeyMeaning::kUnknown;
}

}  // namespace marrow::model
