// The detection loss, its assignment, its gradients and its parts against recorded values.
#include "marrow/train/torch/loss.h"

#include <gtest/gtest.h>

#include "marrow/train/torch/anchors.h"
#include "marrow/train/torch/iou.h"
#include "support/recorded_loss.h"

namespace marrow {
namespace {

using testing::for_each_recorded_loss;
using testing::RecordedLoss;
using testing::RecordedTensors;

using testing::kGradientAbsolute;
using testing::kGradientRelative;
using testing::kLoss;
using testing::kPrimitives;
using testing::kScores;

torch::Tensor of(const RecordedTensors& recorded, const std::string& name) {
  return train::to_torch(recorded[name]);
}
std::vector<torch::Tensor> maps_of(const RecordedLoss& recorded, bool with_gradients,
                                   const std::string& prefix = "") {
  std::vector<torch::Tensor> maps;
  for (const Tensor& map : recorded.maps(prefix))
    maps.push_back(train::to_torch(map).requires_grad_(with_gradients));
  return maps;
}
train::DetectionTargets targets_of(const RecordedLoss& recorded) {
  return {of(recorded, "batch_idx"), of(recorded, "cls"), of(recorded, "bboxes")};
}

void expect_close(const torch::Tensor& found, const torch::Tensor& wanted, double relative, double absolute,
                  const std::string& what) {
  ASSERT_EQ(found.sizes(), wanted.sizes()) << what;
  EXPECT_TRUE(torch::allclose(found, wanted, relative, absolute))
      << what << ": off by " << (found - wanted).abs().max().item<double>();
}

void expect_gradients(const std::vector<torch::Tensor>& maps, const RecordedTensors& recorded,
                      const std::string& prefix) {
  for (size_t k = 0; k < maps.size(); ++k) {
    const std::string name = prefix + "grad_feat" + std::to_string(k);
    expect_close(maps[k].grad(), of(recorded, name), kGradientRelative, kGradientAbsolute, name);
  }
}

void expect_assignment(const train::DetectionLossResult& result, const RecordedTensors& recorded,
                       const std::string& prefix) {
  const torch::Tensor positive = of(recorded, prefix + "fg_positive");
  EXPECT_TRUE(torch::equal(result.assignment.foreground, positive));
  const torch::Tensor where = positive.nonzero();
  torch::Tensor scores = torch::zeros_like(of(recorded, prefix + "target_scores"));
  if (where.size(0) > 0) {
    const torch::Tensor image = where.select(1, 0), anchor = where.select(1, 1);
    const torch::Tensor object = result.assignment.object.index({image, anchor});
    const torch::Tensor labels = result.objects.labels.index({image, object});
    EXPECT_TRUE(torch::equal(object, of(recorded, prefix + "target_gt_idx").index({image, anchor})));
    EXPECT_TRUE(torch::equal(labels, of(recorded, prefix + "target_labels").index({image, anchor})));
    expect_close(result.objects.boxes.index({image, object}),
                 of(recorded, prefix + "target_bboxes").index({image, anchor}), 1e-6, 1e-4, "target_bboxes");
    scores.index_put_({image, anchor, labels}, result.assignment.weights.index({image, anchor}));
  }
  expect_close(scores, of(recorded, prefix + "target_scores"), 0, kScores, "target_scores");
}

void run_case(const RecordedLoss& recorded) {
  const std::vector<torch::Tensor> maps = maps_of(recorded, true);
  if (recorded.is_dual()) {
    const std::vector<torch::Tensor> second = maps_of(recorded, true, "o2o_");
    const train::DetectionLossResult result =
        train::DualDetectionLoss(recorded.classes, recorded.reg_max, recorded.strides, recorded.options)(
            maps, second, targets_of(recorded), recorded.share());
    expect_close(result.loss.detach(), of(recorded, "loss"), kLoss, 0, "loss");
    expect_close(result.items, of(recorded, "loss_items"), kLoss, 0, "loss_items");
    result.loss.sum().backward();
    expect_gradients(maps, recorded, "");
    expect_gradients(second, recorded, "o2o_");
    expect_assignment(result, recorded, "o2o_");
    return;
  }
  const train::DetectionLoss loss(recorded.classes, recorded.reg_max, recorded.strides, recorded.options);
  const train::DetectionLossResult result = loss(maps, targets_of(recorded));
  if (recorded.description.contains("loss_names")) {
    EXPECT_EQ(loss.third_name(), recorded.description.at("loss_names").at(2).get<std::string>());
  }
  expect_close(result.loss.detach(), of(recorded, "loss"), kLoss, 0, "loss");
  expect_close(result.items, of(recorded, "loss_items"), kLoss, 0, "loss_items");
  result.loss.sum().backward();
  expect_gradients(maps, recorded, "");
  expect_assignment(result, recorded, "");
}

TEST(parity_loss, CasesMatch) {
  for_each_recorded_loss("yolov8/loss/cases.json", Rules::k83, run_case);
}

TEST(parity_loss, CasesOf84Match) {
  for_each_recorded_loss("compat/loss/cases.json", Rules::k84, run_case);
}

// What 8.3 makes of the same predictions.
TEST(parity_loss, TheAssignerOf83OnTheSamePredictions) {
  int compared = 0;
  for_each_recorded_loss("compat/loss/cases.json", Rules::k83, [&](const RecordedLoss& recorded) {
    if (!recorded.has("fg_positive_8.3.253")) return;
    const auto result =
        train::DetectionLoss(recorded.classes, recorded.reg_max, recorded.strides, {.rules = Rules::k83})(
            maps_of(recorded, false), targets_of(recorded));
    EXPECT_TRUE(torch::equal(result.assignment.foreground, of(recorded, "fg_positive_8.3.253")));
    ++compared;
  });
  if (compared == 0 && !::testing::Test::IsSkipped()) ADD_FAILURE() << "nothing was compared";
}

TEST(parity_loss, PrimitivesMatch) {
  testing::for_each_golden("yolov8/loss/primitives.safetensors", [](const std::filesystem::path& path) {
    const RecordedTensors recorded(path);
    for (const auto& [name, kind] : {std::pair{"iou", train::IouKind::kIou},
                                     {"giou", train::IouKind::kGiou},
                                     {"diou", train::IouKind::kDiou},
                                     {"ciou", train::IouKind::kCiou}}) {
      torch::Tensor box = of(recorded, "box1").requires_grad_(true);
      const torch::Tensor iou = train::box_iou(box, of(recorded, "box2"), kind);
      expect_close(iou.detach(), of(recorded, name), kPrimitives, kPrimitives, name);
      iou.sum().backward();
      expect_close(box.grad(), of(recorded, std::string(name) + "_grad_box1"), kPrimitives, kPrimitives,
                   std::string(name) + "_grad_box1");
    }
    torch::Tensor logits = of(recorded, "dfl_logits").requires_grad_(true);
    const torch::Tensor dfl = train::distribution_focal_loss(logits, of(recorded, "dfl_target"));
    expect_close(dfl.detach(), of(recorded, "dfl_loss"), kPrimitives, kPrimitives, "dfl_loss");
    dfl.sum().backward();
    expect_close(logits.grad(), of(recorded, "dfl_grad"), kPrimitives, kPrimitives, "dfl_grad");

    const torch::Tensor anchor = of(recorded, "b2d_anchor");
    expect_close(train::boxes_to_distances(anchor, of(recorded, "b2d_box")).clamp(0, 15 - 0.01),
                 of(recorded, "b2d_out"), kPrimitives, kPrimitives, "b2d_out");
    expect_close(train::distances_to_boxes(anchor, of(recorded, "d2b_dist")), of(recorded, "d2b_xyxy"),
                 kPrimitives, kPrimitives, "d2b_xyxy");
  });
}

}  // namespace
}  // namespace marrow
