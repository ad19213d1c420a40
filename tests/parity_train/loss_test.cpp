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

void run_case(const json& description, const Recorded& recorded) {
  std::vector<torch::Tensor> maps;
  while (recorded.has("feat" + std::to_string(maps.size())))
    maps.push_back(recorded["feat" + std::to_string(maps.size())].requires_grad_(true));
  std::vector<int> strides;
  for (const double stride : description.at("strides")) strides.push_back(static_cast<int>(stride));
  const int classes = description.at("nc");
  const json& gains = description.at("hyp");
  train::DetectionLossOptions options{
      .box_gain = gains.at("box"), .class_gain = gains.at("cls"), .dfl_gain = gains.at("dfl")};
  options.assigner.top_k = description.at("tal_topk");
  const int reg_max = static_cast<int>((maps.at(0).size(1) - classes) / 4);
  const train::DetectionLossResult result = train::DetectionLoss(classes, reg_max, strides, options)(
      maps, {recorded["batch_idx"], recorded["cls"], recorded["bboxes"]});

  expect_close(result.loss.detach(), recorded["loss"], kLoss, 0, "loss");
  expect_close(result.items, recorded["loss_items"], kLoss, 0, "loss_items");
  result.loss.sum().backward();
  for (size_t k = 0; k < maps.size(); ++k)
    expect_close(maps[k].grad(), recorded["grad_feat" + std::to_string(k)], kGradientRelative,
                 kGradientAbsolute, "grad_feat" + std::to_string(k));

  const torch::Tensor positive = recorded["fg_positive"];
  EXPECT_TRUE(torch::equal(result.assignment.foreground, positive));
  const torch::Tensor where = positive.nonzero();
  torch::Tensor scores = torch::zeros_like(recorded["target_scores"]);
  if (where.size(0) > 0) {
    const torch::Tensor image = where.select(1, 0), anchor = where.select(1, 1);
    const torch::Tensor object = result.assignment.object.index({image, anchor});
    const torch::Tensor labels = result.objects.labels.index({image, object});
    EXPECT_TRUE(torch::equal(object, recorded["target_gt_idx"].index({image, anchor})));
    EXPECT_TRUE(torch::equal(labels, recorded["target_labels"].index({image, anchor})));
    expect_close(result.objects.boxes.index({image, object}),
                 recorded["target_bboxes"].index({image, anchor}), 1e-6, 1e-4, "target_bboxes");
    scores.index_put_({image, anchor, labels}, result.assignment.weights.index({image, anchor}));
  }
  expect_close(scores, recorded["target_scores"], 0, kScores, "target_scores");
}

TEST(parity_loss, CasesMatch) {
  testing::for_each_golden("yolov8/loss/cases.json", [](const std::filesystem::path& path) {
    const json cases = testing::read_json(path);
    ASSERT_FALSE(cases.empty());
    for (const json& description : cases) {
      const std::string name = description.at("name");
      SCOPED_TRACE(name);
      run_case(description, Recorded(path.parent_path() / (name + ".safetensors")));
    }
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
