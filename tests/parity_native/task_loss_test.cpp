// The losses of segmentation, keypoints and turned boxes, their assignments and gradients, against
// golden/tasks/loss.
#include <gtest/gtest.h>

#include <cmath>
#include <type_traits>

#include "marrow/loss/pose_loss.h"
#include "marrow/loss/segment_loss.h"
#include "marrow/loss/turned_loss.h"
#include "support/head_maps.h"
#include "support/recorded_loss.h"

namespace marrow {
namespace {

using testing::HeadMaps;
using testing::MapList;
using testing::RecordedLoss;

struct Tolerance {
  double loss = testing::kLoss, absolute = testing::kGradientAbsolute, relative = testing::kGradientRelative;
};

// A case's maps and where their gradients go.
struct TaskMaps {
  TaskMaps(const RecordedLoss& recorded, const std::string& extra, int64_t lanes)
      : name(extra),
        head(testing::head_maps_of<float>(recorded.maps(), recorded.classes, lanes)),
        head_gradients(testing::head_maps_of<float>(recorded.maps(), recorded.classes, lanes)),
        targets(recorded.targets()) {
    std::vector<Tensor> tensors;
    while (recorded.has(extra + std::to_string(tensors.size())))
      tensors.push_back(recorded[extra + std::to_string(tensors.size())]);
    extras = testing::map_list_of<float>(tensors, lanes);
    extra_gradients = testing::map_list_of<float>(tensors, lanes);
    head_views = head.views();
    gradient_views = head_gradients.mutable_views();
    extra_views = extras.views();
    extra_gradient_views = extra_gradients.mutable_views();
  }
  loss::DetectionLossInput<float> input() const {
    return {.maps = head_views, .targets = targets, .gradients = gradient_views};
  }

  std::string name;  // of the task's own maps
  HeadMaps<float> head, head_gradients;
  Tensor targets;
  MapList<float> extras, extra_gradients;
  std::vector<loss::LevelMaps<const float>> head_views;
  std::vector<loss::LevelMaps<float>> gradient_views;
  std::vector<loss::MapView<const float>> extra_views;
  std::vector<loss::MapView<float>> extra_gradient_views;
};

void expect_close(std::span<const float> found, std::span<const float> wanted, const Tolerance& tolerance,
                  const std::string& name) {
  ASSERT_EQ(found.size(), wanted.size()) << name;
  double excess = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    const double value = wanted[i];
    const double off =
        std::abs(double{found[i]} - value) - (tolerance.absolute + tolerance.relative * std::abs(value));
    if (!(off <= excess)) excess = off;  // a NaN stays
  }
  EXPECT_LE(excess, 0) << name;
}

void expect_map(const testing::Map<float>& found, const Tensor& wanted, const Tolerance& tolerance,
                const std::string& name) {
  std::vector<float> numbers;
  found.for_each([&](float number) { numbers.push_back(number); });
  expect_close(numbers, wanted.values(), tolerance, name);
}

void expect_task_gradients(const TaskMaps& maps, const RecordedLoss& recorded, const Tolerance& tolerance) {
  for (size_t l = 0; l < maps.head_gradients.levels().size(); ++l) {
    const std::string level = std::to_string(l);
    expect_close(joined(maps.head_gradients.levels()[l]).values(), recorded["grad_feat" + level].values(),
                 tolerance, "feat" + level);
    expect_map(maps.extra_gradients.maps[l], recorded["grad_" + maps.name + level], tolerance,
               maps.name + level);
  }
}

template <size_t Count>
void expect_task_terms(const std::array<double, Count>& found, const RecordedLoss& recorded,
                       double tolerance) {
  const Tensor& wanted = recorded["loss"];
  ASSERT_EQ(wanted.size(), static_cast<int64_t>(Count));
  for (size_t i = 0; i < Count; ++i)
    EXPECT_NEAR(found[i], wanted.values()[i], tolerance * std::abs(wanted.values()[i])) << i;
}

// The recorded foreground of positive weight, and the object that each is of.
void expect_task_assignment(const loss::DetectionAssignment& found, const RecordedLoss& recorded) {
  const Tensor &positive = recorded["fg_positive"], &objects = recorded["target_gt_idx"];
  const Tensor &scores = recorded["target_scores"], &labels = recorded["target_labels"];
  const auto* marks = reinterpret_cast<const uint8_t*>(positive.bytes());
  const auto anchors = static_cast<size_t>(positive.dim(1)), classes = static_cast<size_t>(recorded.classes);
  std::vector<uint8_t> seen(static_cast<size_t>(positive.size()), 0);
  for (size_t image = 0; image < found.images.size(); ++image)
    for (const loss::AssignedAnchor& assigned : found.images[image].foreground) {
      if (!(assigned.weight > 0)) continue;
      const size_t place = image * anchors + static_cast<size_t>(assigned.anchor);
      seen[place] = 1;
      ASSERT_EQ(marks[place], 1);
      const auto label = static_cast<size_t>(labels.values<int64_t>()[place]);
      EXPECT_NEAR(assigned.weight, scores.values()[place * classes + label], testing::kScores);
      // The recorded numbers are among the image's rows that were kept.
      EXPECT_EQ(assigned.object - found.objects.first[image], objects.values<int64_t>()[place]);
    }
  EXPECT_TRUE(std::ranges::equal(seen, std::span(marks, seen.size())));
}

struct SegmentCase {
  static constexpr Tolerance kTolerance = {};
  static std::vector<const char*> older_terms() { return {"box_loss", "seg_loss", "cls_loss", "dfl_loss"}; }

  SegmentCase(const RecordedLoss& recorded, int64_t lanes)
      : maps(recorded, "coefficients", lanes),
        prototypes(testing::map_list_of<float>({recorded["prototypes"]}, lanes)),
        gradients(testing::map_list_of<float>({recorded["prototypes"]}, lanes)),
        input{.detection = maps.input(),
              .coefficients = maps.extra_views,
              .prototypes = prototypes.views()[0],
              .masks = recorded["masks"],
              .overlapping = recorded.description.at("overlap_mask"),
              .coefficient_gradients = maps.extra_gradient_views,
              .prototype_gradient = gradients.mutable_views()[0]},
        loss(recorded.classes, recorded.reg_max, recorded.strides, recorded.options) {}

  TaskMaps maps;
  MapList<float> prototypes, gradients;
  loss::SegmentLossInput<float> input;
  loss::SegmentLoss loss;
};

loss::PoseLossOptions pose_options(const RecordedLoss& recorded) {
  const nlohmann::json& gains = recorded.description.at("hyp");
  loss::PoseLossOptions options = {.detection = recorded.options,
                                   .points = recorded.description.at("kpt_shape").at(0),
                                   .numbers = recorded.description.at("kpt_shape").at(1),
                                   .pose_gain = gains.at("pose"),
                                   .visibility_gain = gains.at("kobj")};
  if (const nlohmann::json& sigmas = recorded.description.at("sigmas"); sigmas.is_array())
    options.sigmas = sigmas.get<std::vector<double>>();
  return options;
}

struct PoseCase {
  static constexpr Tolerance kTolerance = {};
  static std::vector<const char*> older_terms() {
    return {"box_loss", "pose_loss", "kobj_loss", "cls_loss", "dfl_loss"};
  }

  PoseCase(const RecordedLoss& recorded, int64_t lanes)
      : maps(recorded, "keypoints_raw", lanes),
        input{.detection = maps.input(),
              .points = maps.extra_views,
              .keypoints = recorded["keypoints"],
              .point_gradients = maps.extra_gradient_views},
        loss(recorded.classes, recorded.reg_max, recorded.strides, pose_options(recorded)) {}

  TaskMaps maps;
  loss::PoseLossInput<float> input;
  loss::PoseLoss loss;
};

struct TurnedCase {
  // What float32 leaves of the probabilistic IoU: golden/tasks/README.md.
  static constexpr Tolerance kTolerance = {.loss = 1e-4, .absolute = 1e-4};
  static std::vector<const char*> older_terms() { return {"box_loss", "cls_loss", "dfl_loss"}; }

  TurnedCase(const RecordedLoss& recorded, int64_t lanes)
      : maps(recorded, "angles", lanes),
        input{.detection = maps.input(),
              .angles = maps.extra_views,
              .angle_gradients = maps.extra_gradient_views},
        loss(recorded.classes, recorded.reg_max, recorded.strides,
             {.detection = recorded.options, .angle_gain = recorded.description.at("hyp").at("angle")}) {}

  TaskMaps maps;
  loss::TurnedLossInput<float> input;
  loss::TurnedLoss loss;
};

// Calls test(case) with the case of the recorded task.
template <class Test>
void with_case(const RecordedLoss& recorded, int64_t lanes, const Test& test) {
  const std::string task = recorded.description.at("task");
  if (task == "segment")
    test(SegmentCase(recorded, lanes));
  else if (task == "pose")
    test(PoseCase(recorded, lanes));
  else if (task == "obb")
    test(TurnedCase(recorded, lanes));
  else
    ADD_FAILURE() << "unknown task " << task;
}

TEST(parity_native_task_loss, CasesMatch) {
  testing::for_each_recorded_loss("tasks/loss/cases.json", Rules::k84, [](const RecordedLoss& recorded) {
    for (const int64_t lanes : {1, 8, 16}) {
      SCOPED_TRACE(lanes);
      with_case(recorded, lanes, [&]<class Case>(const Case& one) {
        const loss::DetectionAssignment assignment = one.loss.assign(one.input);
        expect_task_terms(one.loss.terms(one.input, assignment), recorded, Case::kTolerance.loss);
        expect_task_gradients(one.maps, recorded, Case::kTolerance);
        expect_task_assignment(assignment, recorded);
        // Of turned boxes the marks alone count: golden/tasks/README.md.
        if constexpr (!std::is_same_v<Case, TurnedCase>) {
          EXPECT_EQ(assignment.foreground(), recorded.description.at("n_fg").template get<int64_t>());
        }
        if constexpr (std::is_same_v<Case, SegmentCase>)
          expect_map(one.gradients.maps[0], recorded["grad_prototypes"], Case::kTolerance, "prototypes");
      });
    }
  });
}

// What 8.3's rules make of the same cases: the terms alone are recorded.
TEST(parity_native_task_loss, CasesMatchByOlderRules) {
  int compared = 0;
  testing::for_each_recorded_loss("tasks/loss/cases.json", Rules::k83, [&](const RecordedLoss& recorded) {
    with_case(recorded, 8, [&]<class Case>(const Case& one) {
      const auto found = one.loss(one.input);
      const std::vector<const char*> names = Case::older_terms();
      const nlohmann::json& items = recorded.description.at("by_8_3_253").at("loss_items");
      ASSERT_EQ(items.size(), names.size());
      const auto images = static_cast<double>(recorded["feat0"].dim(0));
      for (size_t i = 0; i < names.size(); ++i) {
        const double wanted = items.at(names[i]).template get<double>() * images;
        EXPECT_NEAR(found[i], wanted, Case::kTolerance.loss * std::abs(wanted)) << names[i];
      }
      for (size_t i = names.size(); i < found.size(); ++i) EXPECT_EQ(found[i], 0);
      ++compared;
    });
  });
  EXPECT_EQ(compared, 16);
}

}  // namespace
}  // namespace marrow
