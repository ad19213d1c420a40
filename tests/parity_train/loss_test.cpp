// The detection loss, its assignment, its gradients and its parts against recorded values.
#include "marrow/train/loss.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "marrow/train/anchors.h"
#include "marrow/train/iou.h"
#include "marrow/weights/safetensors.h"
#include "support/golden.h"
#include "support/read_json.h"

namespace marrow {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// golden/yolov8/README.md, "loss".
constexpr double kLoss = 1e-5;              // relative
constexpr double kGradientAbsolute = 1e-5;  // and
constexpr double kGradientRelative = 1e-4;
constexpr double kScores = 1e-4;
constexpr double kPrimitives = 1e-5;

class Recorded {
 public:
  explicit Recorded(const fs::path& path) : tensors_(weights::read_safetensors(path).tensors) {}
  torch::Tensor operator[](const std::string& name) const { return train::to_torch(tensors_.at(name)); }
  bool has(const std::string& name) const { return tensors_.contains(name); }

 private:
  Weights tensors_;
};

void expect_close(const torch::Tensor& found, const torch::Tensor& wanted, double relative, double absolute,
                  const std::string& what) {
  ASSERT_EQ(found.sizes(), wanted.sizes()) << what;
  EXPECT_TRUE(torch::allclose(found, wanted, relative, absolute))
      << what << ": off by " << (found - wanted).abs().max().item<double>();
}

std::vector<torch::Tensor> maps_of(const Recorded& recorded, const std::string& prefix) {
  std::vector<torch::Tensor> maps;
  while (recorded.has(prefix + "feat" + std::to_string(maps.size())))
    maps.push_back(recorded[prefix + "feat" + std::to_string(maps.size())].requires_grad_(true));
  return maps;
}

void expect_gradients(const std::vector<torch::Tensor>& maps, const Recorded& recorded,
                      const std::string& prefix) {
  for (size_t k = 0; k < maps.size(); ++k) {
    const std::string name = prefix + "grad_feat" + std::to_string(k);
    expect_close(maps[k].grad(), recorded[name], kGradientRelative, kGradientAbsolute, name);
  }
}

void expect_assignment(const train::DetectionLossResult& result, const Recorded& recorded,
                       const std::string& prefix) {
  const torch::Tensor positive = recorded[prefix + "fg_positive"];
  EXPECT_TRUE(torch::equal(result.assignment.foreground, positive));
  const torch::Tensor where = positive.nonzero();
  torch::Tensor scores = torch::zeros_like(recorded[prefix + "target_scores"]);
  if (where.size(0) > 0) {
    const torch::Tensor image = where.select(1, 0), anchor = where.select(1, 1);
    const torch::Tensor object = result.assignment.object.index({image, anchor});
    const torch::Tensor labels = result.objects.labels.index({image, object});
    EXPECT_TRUE(torch::equal(object, recorded[prefix + "target_gt_idx"].index({image, anchor})));
    EXPECT_TRUE(torch::equal(labels, recorded[prefix + "target_labels"].index({image, anchor})));
    expect_close(result.objects.boxes.index({image, object}),
                 recorded[prefix + "target_bboxes"].index({image, anchor}), 1e-6, 1e-4, "target_bboxes");
    scores.index_put_({image, anchor, labels}, result.assignment.weights.index({image, anchor}));
  }
  expect_close(scores, recorded[prefix + "target_scores"], 0, kScores, "target_scores");
}

void run_case(const json& description, const Recorded& recorded, Rules rules) {
  const std::vector<torch::Tensor> maps = maps_of(recorded, "");
  std::vector<int> strides;
  for (const double stride : description.at("strides")) strides.push_back(static_cast<int>(stride));
  const int classes = description.at("nc");
  const json& gains = description.at("hyp");
  train::DetectionLossOptions options{.box_gain = gains.at("box"),
                                      .class_gain = gains.at("cls"),
                                      .dfl_gain = gains.at("dfl"),
                                      .rules = rules};
  // 8.3's cases name it "tal_topk".
  options.assigner.top_k = description.value("topk", description.value("tal_topk", 10));
  options.assigner.top_k_after = description.value("topk2", 0);
  if (description.contains("class_counts")) {
    std::vector<int64_t> counts;
    for (const json& count : description.at("class_counts")) counts.push_back(count.get<int64_t>());
    options.class_weights = train::class_weights(counts, description.at("cls_pw"));
    for (size_t c = 0; c < counts.size(); ++c)
      EXPECT_NEAR(options.class_weights.at(c), description.at("class_weights").at(c).get<double>(), 1e-6);
  }
  const int reg_max = static_cast<int>((maps.at(0).size(1) - classes) / 4);
  const train::DetectionTargets targets = {recorded["batch_idx"], recorded["cls"], recorded["bboxes"]};
  if (recorded.has("o2o_feat0")) {
    const std::vector<torch::Tensor> second = maps_of(recorded, "o2o_");
    const double share = train::one_to_many_share(description.at("updates"), description.at("hyp_epochs"));
    EXPECT_NEAR(share, description.at("o2m").get<double>(), 1e-6);
    const train::DetectionLossResult result =
        train::DualDetectionLoss(classes, reg_max, strides, options)(maps, second, targets, share);
    expect_close(result.loss.detach(), recorded["loss"], kLoss, 0, "loss");
    expect_close(result.items, recorded["loss_items"], kLoss, 0, "loss_items");
    result.loss.sum().backward();
    expect_gradients(maps, recorded, "");
    expect_gradients(second, recorded, "o2o_");
    expect_assignment(result, recorded, "o2o_");
    return;
  }
  const train::DetectionLoss loss(classes, reg_max, strides, options);
  const train::DetectionLossResult result = loss(maps, targets);
  if (description.contains("loss_names")) {
    EXPECT_EQ(loss.third_name(), description.at("loss_names").at(2).get<std::string>());
  }
  expect_close(result.loss.detach(), recorded["loss"], kLoss, 0, "loss");
  expect_close(result.items, recorded["loss_items"], kLoss, 0, "loss_items");
  result.loss.sum().backward();
  expect_gradients(maps, recorded, "");
  expect_assignment(result, recorded, "");
}

void run_cases(const fs::path& path, Rules rules) {
  const json cases = testing::read_json(path);
  ASSERT_FALSE(cases.empty());
  for (const json& description : cases) {
    const std::string name = description.at("name");
    SCOPED_TRACE(name);
    run_case(description, Recorded(path.parent_path() / (name + ".safetensors")), rules);
  }
}

TEST(parity_loss, CasesMatch) {
  testing::for_each_golden("yolov8/loss/cases.json",
                           [](const fs::path& path) { run_cases(path, Rules::k83); });
}

TEST(parity_loss, CasesOf84Match) {
  testing::for_each_golden("compat/loss/cases.json",
                           [](const fs::path& path) { run_cases(path, Rules::k84); });
}

// What 8.3 makes of the same predictions.
TEST(parity_loss, TheAssignerOf83OnTheSamePredictions) {
  testing::for_each_golden("compat/loss/cases.json", [](const fs::path& path) {
    int compared = 0;
    for (const json& description : testing::read_json(path)) {
      const Recorded recorded(path.parent_path() /
                              (description.at("name").get<std::string>() + ".safetensors"));
      if (!recorded.has("fg_positive_8.3.253")) continue;
      SCOPED_TRACE(description.at("name").get<std::string>());
      const std::vector<torch::Tensor> maps = maps_of(recorded, "");
      std::vector<int> strides;
      for (const double stride : description.at("strides")) strides.push_back(static_cast<int>(stride));
      const int classes = description.at("nc"),
                reg_max = static_cast<int>((maps.at(0).size(1) - classes) / 4);
      const auto result = train::DetectionLoss(classes, reg_max, strides, {.rules = Rules::k83})(
          maps, {recorded["batch_idx"], recorded["cls"], recorded["bboxes"]});
      EXPECT_TRUE(torch::equal(result.assignment.foreground, recorded["fg_positive_8.3.253"]));
      ++compared;
    }
    EXPECT_GT(compared, 0);
  });
}

TEST(parity_loss, PrimitivesMatch) {
  testing::for_each_golden("yolov8/loss/primitives.safetensors", [](const std::filesystem::path& path) {
    const Recorded recorded(path);
    for (const auto& [name, kind] : {std::pair{"iou", train::IouKind::kIou},
                                     {"giou", train::IouKind::kGiou},
                                     {"diou", train::IouKind::kDiou},
                                     {"ciou", train::IouKind::kCiou}}) {
      torch::Tensor box = recorded["box1"].requires_grad_(true);
      const torch::Tensor iou = train::box_iou(box, recorded["box2"], kind);
      expect_close(iou.detach(), recorded[name], kPrimitives, kPrimitives, name);
      iou.sum().backward();
      expect_close(box.grad(), recorded[std::string(name) + "_grad_box1"], kPrimitives, kPrimitives,
                   std::string(name) + "_grad_box1");
    }
    torch::Tensor logits = recorded["dfl_logits"].requires_grad_(true);
    const torch::Tensor dfl = train::distribution_focal_loss(logits, recorded["dfl_target"]);
    expect_close(dfl.detach(), recorded["dfl_loss"], kPrimitives, kPrimitives, "dfl_loss");
    dfl.sum().backward();
    expect_close(logits.grad(), recorded["dfl_grad"], kPrimitives, kPrimitives, "dfl_grad");

    const torch::Tensor anchor = recorded["b2d_anchor"];
    expect_close(train::boxes_to_distances(anchor, recorded["b2d_box"]).clamp(0, 15 - 0.01),
                 recorded["b2d_out"], kPrimitives, kPrimitives, "b2d_out");
    expect_close(train::distances_to_boxes(anchor, recorded["d2b_dist"]), recorded["d2b_xyxy"], kPrimitives,
                 kPrimitives, "d2b_xyxy");
  });
}

}  // namespace
}  // namespace marrow
