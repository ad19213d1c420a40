// Training runs of an end-to-end head, golden-2/compat/train, on our own kernels: two pairs of branches over
// one trunk, of which the first alone trains the trunk. Attention, MuSGD and the L1 term are in them.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "marrow/graph/shapes.h"
#include "marrow/loss/detection_head.h"
#include "marrow/loss/detection_loss.h"
#include "marrow/train/step/flat_optimizer.h"
#include "support/largest_difference.h"
#include "support/recorded_musgd.h"
#include "support/recorded_runs.h"
#include "train/native/step_cases.h"

namespace marrow {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using train::native::Program;

// golden-2/README.md, "train"; of norms it says nothing. MuSGD rounds to bfloat16: after two of its steps two
// levels of vector instructions have gradients 3e-2 apart, and each is 1e-5 from the other's at its weights.
// In the last step of SGD weights 5e-6 apart lie on two sides of a kink, where the gradient turns by 1.3e-2:
// that moves the last weights by up to 4e-4, and before it they are within 1e-5.
struct DualTolerances {
  std::vector<double> losses, norms;  // relative, by step
  double first_weights, final_weights;
};
DualTolerances dual_tolerances_of(train::OptimizerKind kind) {
  if (kind == train::OptimizerKind::kMuSgd)
    return {{1e-4, 1e-3, 2e-3, 5e-3}, {1e-4, 5e-3, 5e-2, 5e-2}, 3e-4, 1e-2};
  return {{1e-4, 1e-4, 1e-4, 1e-4}, {1e-4, 1e-4, 1e-4, 1e-3}, 1e-4, 5e-4};
}

// Of `map`, computed from the values that `trunk` is computed from, what is its own.
struct HeadBranch {
  Value source;  // of the whole graph: the branch's input
  Graph graph;
};
HeadBranch branch_of(const Graph& whole, Value map, Value trunk) {
  const std::vector<bool> needed = reachable(whole, std::span(&map, 1)),
                          shared = reachable(whole, std::span(&trunk, 1));
  HeadBranch branch;
  std::map<int, Value> mapped;
  for (size_t i = 0; i < whole.nodes.size(); ++i) {
    if (!needed[i] || shared[i]) continue;
    Node node = whole.nodes[i];
    for (Value& in : node.inputs) {
      if (branch.graph.nodes.empty()) {
        branch.source = in;
        const int channels = whole.node(in).channels;
        branch.graph.nodes.push_back({.operation = Input{.channels = channels}, .channels = channels});
        mapped[in.id] = {0};
      }
      in = mapped.at(in.id);
    }
    for (const std::string& name : parameter_names(node.operation))
      branch.graph.parameters.push_back(*whole.find_parameter(name));
    mapped[static_cast<int>(i)] = {static_cast<int>(branch.graph.nodes.size())};
    branch.graph.nodes.push_back(std::move(node));
  }
  branch.graph.outputs.push_back({"out", mapped.at(map.id)});
  verify(branch.graph);
  return branch;
}

class DualTraining {
 public:
  DualTraining(const fs::path& description, cpu::SimdLevel level)
      : level_(level),
        run_(testing::read_json(description)),
        stem_(description.parent_path() / description.stem()),
        folder_(description.parent_path()),
        graph_(model::build_model(model::parse_model_spec(run_.at("model_yaml").dump(), description.string()))
                   .graph),
        kind_(testing::optimizer_kind(run_.at("optimizer"))),
        groups_(train::parameter_groups(graph_, run_.at("weight_decay"), kind_, Rules::k84)),
        parameters_(graph_),
        optimizer_(parameters_, groups_, kind_, testing::kUnusedBeta1, level),
        head_(loss::detection_head(graph_)),
        loss_(head_.classes, head_.reg_max, head_.strides,
              {.box_gain = run_.at("hyp").at("box"),
               .class_gain = run_.at("hyp").at("cls"),
               .dfl_gain = run_.at("hyp").at("dfl"),
               .rules = Rules::k84}) {
    const Weights data = shared_file("data");
    images_ = data.at("images_u8");
    targets_ = testing::target_rows(data.at("batch_idx"), data.at("cls"), data.at("bboxes"));
    parameters_.load(shared_file("init"), shared_file("init"));
    make_programs();
  }

  const json& description() const { return run_; }
  const std::vector<train::ParameterGroup>& groups() const { return groups_; }
  train::OptimizerKind kind() const { return kind_; }
  bool has(const std::string& part) const { return fs::exists(stem_.string() + part); }
  Weights file(const std::string& part) const {
    return weights::read_safetensors(stem_.string() + part).tensors;
  }
  Weights shared_file(const std::string& name) const {
    return weights::read_safetensors(folder_ / (name + ".safetensors")).tensors;
  }
  const train::FlatParameters& parameters() const { return parameters_; }
  const Graph& graph() const { return graph_; }
  double images() const { return static_cast<double>(images_.dim(0)); }

  loss::DualDetectionLoss::Terms accumulate(double share) {
    trunk_->forward({&images_, 1}, {}, version_);
    std::vector<loss::LevelMaps<const float>> maps[2];
    std::vector<loss::LevelMaps<float>> gradients[2];
    const auto add_level = [&](size_t pair, const Program& program, size_t first) {
      maps[pair].push_back({program.output(first), program.output(first + 1)});
      gradients[pair].push_back({program.output_gradient(first), program.output_gradient(first + 1)});
    };
    for (size_t k = 0; k < branches_.size(); ++k) {
      add_level(0, *trunk_, 2 * k);
      // The branch's gradient ends here.
      const size_t source = 2 * branches_.size() + k;
      const loss::MapView<float> nothing = trunk_->output_gradient(source);
      std::fill_n(nothing.data, nothing.images * nothing.image_step, 0.0F);
      const loss::MapView<const float> map = trunk_->output(source);
      Tensor rows(map.shape());
      testing::copy_rows(map, rows);
      branches_[k]->forward({&rows, 1}, {}, version_);
      add_level(1, *branches_[k], 0);
    }
    const auto input = [&](size_t pair) {
      return loss::DetectionLossInput<float>{
          .maps = maps[pair], .targets = targets_, .gradients = gradients[pair], .pool = &pool_};
    };
    const loss::DualDetectionLoss::Terms terms = loss_(input(0), input(1), share);
    parameters_.drop_gradients();
    std::ranges::fill(parameters_.all_gradients(), 0.0F);
    for (const auto& entry : parameters_.entries())
      if (entry.trained) parameters_.set_has_gradient(entry.name);
    trunk_->backward();
    for (const auto& branch : branches_) branch->backward();
    return terms;
  }

  // Returns the norm of the gradients.
  double update() {
    const double norm = optimizer_.clip_gradients(run_.at("clip_norm"), 1, pool_);
    const double lr = run_.at("lr");
    optimizer_.update({lr, lr, run_.at("momentum"), 1}, pool_);
    ++version_;
    return norm;
  }

 private:
  void make_programs() {
    const auto& kernels = train::native::kernels_of(level_);
    const std::vector<Shape> shapes = infer_shapes(graph_, images_.shape());
    const int sides = 4 * head_.reg_max, all = sides + head_.classes;
    train::native::ProgramSettings trunk;
    const std::vector<Value> maps = loss::detection_maps(graph_);
    for (const Value map : maps) {
      trunk.outputs.push_back({map, 0, sides});
      trunk.outputs.push_back({map, sides, all});
    }
    workspaces_.resize(maps.size() + 1);
    for (size_t k = 0; k < maps.size(); ++k) {
      const HeadBranch branch = branch_of(graph_, graph_.find("one2one_feat" + std::to_string(k)), maps[k]);
      trunk.outputs.push_back({branch.source, 0, graph_.node(branch.source).channels});
      const Value out = branch.graph.find("out");
      branches_.push_back(std::make_unique<Program>(
          branch.graph, shapes[static_cast<size_t>(branch.source.id)],
          train::native::ProgramSettings{.outputs = {{out, 0, sides}, {out, sides, all}}}, parameters_,
          kernels, workspaces_[k + 1], pool_));
    }
    trunk_ = std::make_unique<Program>(graph_, images_.shape(), trunk, parameters_, kernels, workspaces_[0],
                                       pool_);
  }

  cpu::SimdLevel level_;
  json run_;
  fs::path stem_, folder_;
  Graph graph_;
  train::OptimizerKind kind_;
  std::vector<train::ParameterGroup> groups_;
  cpu::ThreadPool pool_{2};
  train::FlatParameters parameters_;
  train::FlatOptimizer optimizer_;
  DetectDecode head_;
  loss::DualDetectionLoss loss_;
  Tensor images_, targets_;
  std::vector<train::native::Workspace> workspaces_;
  std::unique_ptr<Program> trunk_;
  std::vector<std::unique_ptr<Program>> branches_;
  int64_t version_ = 1;
};

// golden_files() names no case; of the folder's other descriptions other tests read.
template <class Check>
void for_each_dual_training(const Check& check) {
  std::vector<fs::path> descriptions = testing::golden_files("compat/train", {".json"});
  std::erase_if(descriptions,
                [](const fs::path& path) { return !testing::read_json(path).contains("model_yaml"); });
  MARROW_NEEDS_GOLDEN(descriptions, "compat/train");
  for (const fs::path& description : descriptions) {
    for (const cpu::SimdLevel level : cpu::available_simd_levels()) {
      SCOPED_TRACE(description.string() + ", " + std::string(cpu::simd_name(level)));
      DualTraining training(description, level);
      check(training);
    }
  }
}

// In any order within a group: attention's modules are not declared in that of their names.
TEST(parity_native_dual, GroupsHoldTheRecordedParameters) {
  for_each_dual_training([](const DualTraining& training) {
    const json& wanted = training.description().at("param_groups_in_order");
    ASSERT_EQ(wanted.size(), training.groups().size());
    for (size_t i = 0; i < wanted.size(); ++i) {
      const train::ParameterGroup& group = training.groups()[i];
      EXPECT_EQ(std::set<std::string>(group.names.begin(), group.names.end()),
                wanted[i].at("params").get<std::set<std::string>>())
          << "group " << i;
      EXPECT_EQ(group.weight_decay, wanted[i].at("weight_decay").get<double>()) << "group " << i;
      EXPECT_NEAR(group.rate * training.description().at("lr").get<double>(), wanted[i].at("lr"), 1e-12)
          << "group " << i;
    }
  });
}

TEST(parity_native_dual, RunsFollowTheRecordedTrajectory) {
  for_each_dual_training([](DualTraining& training) {
    const DualTolerances tolerances = dual_tolerances_of(training.kind());
    const json& steps = training.description().at("steps");
    const int epochs = training.description().at("hyp").at("epochs");
    for (size_t i = 0; i < steps.size(); ++i) {
      SCOPED_TRACE("step " + std::to_string(i));
      const json& step = steps[i];
      // Terms are held to their sum.
      const auto near = [&](double found, double wanted, double whole, const char* what) {
        EXPECT_NEAR(found, wanted, tolerances.losses.at(i) * whole) << what;
      };
      const double share = loss::one_to_many_share(static_cast<int>(i), epochs);
      EXPECT_NEAR(share, step.at("o2m").get<double>(), 1e-9);
      const loss::DualDetectionLoss::Terms terms = training.accumulate(share);
      const double sum = step.at("loss(summed, x batch, weighted)");
      near(terms.loss[0] + terms.loss[1] + terms.loss[2], sum, sum, "loss");
      for (size_t k = 0; k < 3; ++k) near(terms.loss[k], step.at("loss_vector").at(k), sum, "term");
      const json& shown = step.at("loss_items(one2one, no batch factor)");
      const double box = shown.at("box_loss"), classes = shown.at("cls_loss"), sides = shown.at("l1_loss");
      const double whole = box + classes + sides;
      near(terms.shown[0] / training.images(), box, whole, "box loss");
      near(terms.shown[1] / training.images(), classes, whole, "class loss");
      near(terms.shown[2] / training.images(), sides, whole, "L1 loss");
      if (i == 0)
        for (const auto& [name, wanted] : training.shared_file("grad_step0")) {
          // A tensor's gradient is held to its largest entry.
          const auto values = wanted.values();
          const double largest =
              std::abs(*std::ranges::max_element(values, {}, [](float x) { return std::abs(x); }));
          EXPECT_LE(testing::largest_difference(training.parameters().gradient(name), values),
                    1e-5 + 1e-4 * largest)
              << name;
        }
      const double norm = step.at("grad_norm_before_clip");
      EXPECT_NEAR(training.update(), norm, tolerances.norms.at(i) * norm);
      const Weights weights = training.parameters().weights();
      double means = 0;
      for (const Parameter& p : training.graph().parameters)
        if (p.role == ParameterRole::kRunningMean)
          for (const float mean : weights.at(p.name).values()) means += std::abs(double{mean});
      const double wanted_means = step.at("bn_mean_abs_sum_after");
      near(means, wanted_means, wanted_means, "running means");
      if (i == 0 && training.has("_after_step0.safetensors"))
        testing::expect_weights(weights, training.file("_after_step0.safetensors"), tolerances.first_weights);
    }
    testing::expect_weights(training.parameters().weights(), training.file("_final.safetensors"),
                            tolerances.final_weights);
  });
}

}  // namespace
}  // namespace marrow
