// The detection loss (loss/detection_loss.h), its assignment, its gradients and its parts against recorded
// values.
#include <gtest/gtest.h>

#include <cmath>

#include "marrow/loss/detection_loss.h"
#include "support/head_maps.h"
#include "support/recorded_loss.h"

namespace marrow {
namespace {

using testing::HeadMaps;
using testing::RecordedLoss;

void expect_terms(const loss::DetectionTerms& found, const Tensor& wanted, double factor) {
  ASSERT_EQ(wanted.size(), 3);
  for (size_t i = 0; i < found.size(); ++i) {
    const double value = factor * wanted.values()[i];
    EXPECT_NEAR(found[i], value, testing::kLoss * std::abs(value)) << i;
  }
}

void expect_gradients(const HeadMaps<float>& gradients, const RecordedLoss& recorded,
                      const std::string& prefix) {
  for (size_t l = 0; l < gradients.levels().size(); ++l) {
    const std::string name = prefix + "grad_feat" + std::to_string(l);
    const Tensor found = joined(gradients.levels()[l]);
    const Tensor& wanted = recorded[name];
    ASSERT_EQ(found.shape(), wanted.shape()) << name;
    double excess = 0;
    for (size_t i = 0; i < found.values().size(); ++i) {
      const double value = wanted.values()[i];
      const double off = std::abs(double{found.values()[i]} - value) -
                         (testing::kGradientAbsolute + testing::kGradientRelative * std::abs(value));
      if (!(off <= excess)) excess = off;  // a NaN stays
    }
    EXPECT_LE(excess, 0) << name;
  }
}

// Recorded of every anchor, so many numbers each.
template <class T>
T of_anchor(const RecordedLoss& recorded, const std::string& name, size_t image, int64_t anchor,
            int64_t number = 0) {
  const Tensor& tensor = recorded[name];
  const int64_t each = tensor.shape().size() == 3 ? tensor.dim(2) : 1;
  return tensor.values<T>()[static_cast<size_t>(
      (static_cast<int64_t>(image) * tensor.dim(1) + anchor) * each + number)];
}

// 1 for every anchor that has an object.
std::vector<uint8_t> foreground_of(const loss::DetectionAssignment& assignment, int64_t anchors) {
  std::vector<uint8_t> marks(assignment.images.size() * static_cast<size_t>(anchors), 0);
  for (size_t image = 0; image < assignment.images.size(); ++image)
    for (const loss::AssignedAnchor& assigned : assignment.images[image].foreground)
      marks[image * static_cast<size_t>(anchors) + static_cast<size_t>(assigned.anchor)] = 1;
  return marks;
}
std::vector<uint8_t> recorded_foreground(const Tensor& marks) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(marks.bytes());
  return {bytes, bytes + marks.size()};
}

void expect_assignment(const loss::DetectionAssignment& found, const RecordedLoss& recorded) {
  const Tensor& positive = recorded["fg_positive"];
  EXPECT_EQ(foreground_of(found, positive.dim(1)), recorded_foreground(positive));
  for (size_t image = 0; image < found.images.size(); ++image)
    for (const loss::AssignedAnchor& assigned : found.images[image].foreground) {
      const auto object = static_cast<size_t>(assigned.object);
      const int64_t label = found.objects.labels[object];
      EXPECT_EQ(assigned.object - found.objects.first[image],
                of_anchor<int64_t>(recorded, "target_gt_idx", image, assigned.anchor));
      EXPECT_EQ(label, of_anchor<int64_t>(recorded, "target_labels", image, assigned.anchor));
      EXPECT_NEAR(assigned.weight, of_anchor<float>(recorded, "target_scores", image, assigned.anchor, label),
                  testing::kScores);
      for (size_t side = 0; side < 4; ++side)
        EXPECT_NEAR(
            found.objects.boxes[object][side],
            of_anchor<float>(recorded, "target_bboxes", image, assigned.anchor, static_cast<int64_t>(side)),
            1e-3);
    }
}

// A case's maps, and where their gradients go.
struct BranchMaps {
  HeadMaps<float> maps, gradients;
  std::vector<loss::LevelMaps<const float>> views;
  std::vector<loss::LevelMaps<float>> gradient_views;

  BranchMaps(const RecordedLoss& recorded, int64_t lanes, const std::string& prefix = "")
      : maps(testing::head_maps_of<float>(recorded.maps(prefix), recorded.classes, lanes)),
        gradients(testing::head_maps_of<float>(recorded.maps(prefix), recorded.classes, lanes)),
        views(maps.views()),
        gradient_views(gradients.mutable_views()) {}
  loss::DetectionLossInput<float> input(const Tensor& targets) const {
    return {.maps = views, .targets = targets, .gradients = gradient_views};
  }
};

void run_case(const RecordedLoss& recorded) {
  const Tensor targets = recorded.targets();
  for (const int64_t lanes : {1, 8, 16}) {
    const BranchMaps branch(recorded, lanes);
    const auto images = static_cast<double>(branch.views[0].sides.images);
    if (recorded.is_dual()) {
      const BranchMaps second(recorded, lanes, "o2o_");
      const loss::DualDetectionLoss::Terms found =
          loss::DualDetectionLoss(recorded.classes, recorded.reg_max, recorded.strides, recorded.options)(
              branch.input(targets), second.input(targets), recorded.share());
      expect_terms(found.loss, recorded["loss"], 1);
      expect_terms(found.shown, recorded["loss_items"], images);
      expect_gradients(branch.gradients, recorded, "");
      expect_gradients(second.gradients, recorded, "o2o_");
      continue;
    }
    const loss::DetectionLoss loss(recorded.classes, recorded.reg_max, recorded.strides, recorded.options);
    if (recorded.description.contains("loss_names")) {
      EXPECT_EQ(loss.third_name(), recorded.description.at("loss_names").at(2).get<std::string>());
    }
    const loss::DetectionAssignment assignment = loss.assign(branch.input(targets));
    const loss::DetectionTerms found = loss.terms(branch.input(targets), assignment);
    expect_terms(found, recorded["loss"], 1);
    expect_terms(found, recorded["loss_items"], images);
    expect_gradients(branch.gradients, recorded, "");
    expect_assignment(assignment, recorded);
  }
}

TEST(parity_native_loss, CasesMatch) {
  testing::for_each_recorded_loss("yolov8/loss/cases.json", Rules::k83, run_case);
}

TEST(parity_native_loss, CasesOf84Match) {
  testing::for_each_recorded_loss("compat/loss/cases.json", Rules::k84, run_case);
}

// What 8.3 makes of the same predictions.
TEST(parity_native_loss, TheAssignerOf83OnTheSamePredictions) {
  int compared = 0;
  testing::for_each_recorded_loss("compat/loss/cases.json", Rules::k83, [&](const RecordedLoss& recorded) {
    if (!recorded.has("fg_positive_8.3.253")) return;
    const BranchMaps branch(recorded, 1);
    const loss::DetectionAssignment found =
        loss::DetectionLoss(recorded.classes, recorded.reg_max, recorded.strides, {.rules = Rules::k83})
            .assign(branch.input(recorded.targets()));
    const Tensor& positive = recorded["fg_positive_8.3.253"];
    EXPECT_EQ(foreground_of(found, positive.dim(1)), recorded_foreground(positive));
    ++compared;
  });
  if (compared == 0 && !::testing::Test::IsSkipped()) ADD_FAILURE() << "nothing was compared";
}

TEST(parity_native_loss, CompleteIousMatch) {
  testing::for_each_golden("yolov8/loss/primitives.safetensors", [](const std::filesystem::path& path) {
    const testing::RecordedTensors recorded(path);
    const auto box_of = [&](const char* name, size_t i) {
      const std::span<const float> s = recorded[name].values().subspan(4 * i, 4);
      return loss::MeasuredBox(s[0], s[1], s[2], s[3]);
    };
    const Tensor &ious = recorded["ciou"], &gradients = recorded["ciou_grad_box1"];
    ASSERT_GT(ious.size(), 0);
    for (size_t i = 0; i < static_cast<size_t>(ious.size()); ++i) {
      const loss::IouAndGradient found = loss::complete_iou_gradient(box_of("box1", i), box_of("box2", i));
      const auto expect_near = [&](double value, double wanted) {
        EXPECT_NEAR(value, wanted, testing::kPrimitives * (1 + std::abs(wanted))) << i;
      };
      expect_near(found.iou, ious.values()[i]);
      for (size_t side = 0; side < 4; ++side)
        expect_near(found.gradient[side], gradients.values()[4 * i + side]);
    }
  });
}

}  // namespace
}  // namespace marrow
