// Gradients of whole networks: LibTorch's, on the processor and on CUDA, beside those of our own kernels.
#include <gtest/gtest.h>

#include <cmath>

#include "marrow/model/zoo.h"
#include "marrow/train/native/native_executor.h"
#include "marrow/train/torch/torch_training_executor.h"
#include "support/graphs.h"
#include "support/without_kinks.h"

namespace marrow::train {
namespace {

struct OnDevice {
  const char* name;
  const char* device;
};
void PrintTo(const OnDevice& on, std::ostream* out) {
  *out << on.name;
}

class NetworkGradients : public ::testing::TestWithParam<OnDevice> {};

// Relative, of all entries together.
double gradient_difference(const Weights& found, const Weights& wanted) {
  double difference = 0, all = 0;
  for (const auto& [name, tensor] : wanted) {
    const auto values = found.at(name).values();
    for (size_t i = 0; i < values.size(); ++i) {
      const double expected = tensor.values()[i];
      difference += (values[i] - expected) * (values[i] - expected);
      all += expected * expected;
    }
  }
  return std::sqrt(difference / all);
}

// The images, as far as float32 tells them apart.
TrainingBatch moved_a_little(TrainingBatch batch) {
  batch.images = batch.images.clone();
  const Tensor moves = testing::noise(batch.images.shape(), 7);
  for (size_t i = 0; i < moves.values().size(); ++i)
    batch.images.values()[i] *= 1 + 1e-7F * moves.values()[i];
  return batch;
}

// How far two ways to round may lie apart is the network's matter: some fresh ones enlarge the last bit of
// their input a lot. So the yardstick is what that bit moves.
constexpr double kMostMoves = 4;

TEST_P(NetworkGradients, AreThoseOfOurKernels) {
  if (std::string_view(GetParam().device) == "cuda" && !torch::cuda::is_available())
    GTEST_SKIP() << "no CUDA device is here";
  forbid_tf32();
  TrainingBatch batch;
  batch.images = testing::noise({4, 3, 128, 128}, 2);
  batch.targets = Tensor::from({3, 6}, std::vector<float>{0, 1, .5F, .5F, .4F, .3F, 1, 0, .3F, .6F, .2F, .5F,
                                                          3, 1, .7F, .2F, .3F, .3F});
  batch.ignored = Tensor({0, 5});
  for (const char* backbone :
       {"", "vanillanet_5", "shufflenet_v2_x0_5", "starnet_s050", "pp_lcnet_x0_25", "efficientnet_b0"}) {
    SCOPED_TRACE(backbone);
    const Graph graph = testing::without_kinks(model::make_model("yolov8n", backbone).graph);
    const ExecutorSettings ours_settings{.objective = loss::DetectionLossOptions(),
                                         .groups = parameter_groups(graph, 5e-4, OptimizerKind::kSgd),
                                         .threads = 1};
    ExecutorState start;
    start.weights = start.average = initialize(graph, 1);
    const auto ours = make_native_executor(graph, start, ours_settings);
    ExecutorSettings settings = ours_settings;
    settings.device = GetParam().device;
    TorchTrainingExecutor theirs(graph, start, settings);
    const TrainingPlace place{.seed = 5, .epoch = 1, .position = 8};
    const std::vector<double> wanted = ours->accumulate(batch, place),
                              found = theirs.accumulate(batch, place);
    ASSERT_EQ(found.size(), wanted.size());
    for (size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(found[i], wanted[i], 1e-4 * wanted[i]);
    const Weights gradients = theirs.gradients();
    ASSERT_EQ(gradients.size(), ours->gradients().size());
    const auto moved = make_native_executor(graph, start, ours_settings);
    moved->accumulate(moved_a_little(batch), place);
    const double moves = gradient_difference(moved->gradients(), ours->gradients());
    EXPECT_LT(moves, 0.01);
    EXPECT_LE(gradient_difference(gradients, ours->gradients()), kMostMoves * moves);
  }
}

INSTANTIATE_TEST_SUITE_P(Of, NetworkGradients,
                         ::testing::Values(OnDevice{"LibTorch", "cpu"}, OnDevice{"LibTorchOnCuda", "cuda"}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace marrow::train
