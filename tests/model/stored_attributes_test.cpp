#include "marrow/model/stored_attributes.h"

#include <gtest/gtest.h>

#include "marrow/base/error.h"
#include "marrow/model/spec.h"
#include "support/message_of.h"

namespace marrow::model {
namespace {

Model stored_model_of(const std::string& backbone) {
  return build_model(parse_model_spec(
      "nc: 2\nbackbone:\n  - [-1, 1, Conv, [16, 3, 2]]\n" + backbone + "head:\n  - [[-1], 1, Detect, [nc]]\n",
      "m.yaml"));
}

std::string refusal_of(const Model& model, const weights::ModelAttributes& attributes) {
  return testing::message_of([&] { check_stored_attributes(model, attributes, "a.pt"); },
                             ErrorKind::kUnsupported);
}

TEST(StoredAttributes, AreWhatWasBuilt) {
  const Model model = stored_model_of("  - [-1, 1, C2f, [16, True]]\n  - [-1, 1, SPPF, [16, 5]]\n");
  weights::ModelAttributes same;
  same.shortcuts = {
      {"model.1.m.0", true}, {"model.2", false}, {"model.9.m.0", true}};  // the last is not built
  same.pools = {{"model.2", 3}};
  same.other_activations = {{"model.1.extra", "SiLU()"}, {"model.8.x", "ReLU()"}};
  EXPECT_NO_THROW(check_stored_attributes(model, same, "a.pt"));

  weights::ModelAttributes other;
  other.shortcuts = {{"model.1.m.0", false}};
  EXPECT_EQ(refusal_of(model, other),
            "a.pt: model.1.m.0.add is False in this file, but its description gives a block that adds its "
            "input; its "
            "weights are of another network than Marrow builds");
  other = {};
  other.pools = {{"model.2", 4}};
  EXPECT_NE(refusal_of(model, other).find("model.2.n is 4 in this file, but its description gives 3 pools"),
            std::string::npos);
}

TEST(StoredAttributes, ActivationsThatNoUnitHonoursAreRefused) {
  const Model model = stored_model_of("  - [-1, 1, Shuffle_Block, [32, 2]]\n");
  weights::ModelAttributes attributes;
  attributes.other_activations = {{"model.1.branch2.2", "ReLU()"}};
  EXPECT_NO_THROW(check_stored_attributes(model, attributes, "a.pt"));
  attributes.other_activations = {{"model.1.branch2.2", "LeakyReLU(negative_slope=0.1)"}};
  EXPECT_NE(
      refusal_of(model, attributes)
          .find(
              "model.1.branch2.2 is LeakyReLU(negative_slope=0.1) in this file, but layer 1 (Shuffle_Block) "
              "has relu here"),
      std::string::npos);
  attributes.other_activations = {{"model.1.branch2.2", "GLU()"}};
  EXPECT_NE(refusal_of(model, attributes).find("unknown activation 'GLU'"), std::string::npos);
}

}  // namespace
}  // namespace marrow::model
