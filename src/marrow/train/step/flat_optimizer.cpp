#include "marrow/train/step/flat_optimizer.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string_view>
#include <utility>

#include "marrow/base/error.h"

namespace marrow::train {
namespace {

constexpr double kBeta2 = 0.999;
constexpr double kRmsAlpha = 0.99;
constexpr double kNadamDecay = 4e-3;  // of the momentum schedule: Dozat 2016
constexpr double kClipEps = 1e-6;
constexpr double kMuonShare = 0.2;  // of MuSGD's step of a matrix

constexpr std::string_view kFirst = "momentum/";
constexpr std::string_view kSecond = "variance/";  // of MuSGD the average of the matrix's gradients

// What a thread takes at once, of every buffer: some stay in the second-level cache between a chunk's steps.
constexpr int64_t kChunk = 16384;  // floats

int64_t chunks_of(int64_t floats) {
  return (floats + kChunk - 1) / kChunk;
}

// Calls visit(entry, begin, size) for every entry with floats in a chunk of the buffers, and those floats.
template <class Visit>
void for_each_part(const std::vector<FlatParameters::Entry>& entries, int64_t chunk, const Visit& visit) {
  const int64_t begin = chunk * kChunk, end = begin + kChunk;
  const auto first = std::ranges::upper_bound(entries, begin, {}, &FlatParameters::Entry::end);
  for (auto entry = first; entry != entries.end() && entry->begin < end; ++entry) {
    const int64_t from = std::max(begin, entry->begin);
    visit(static_cast<size_t>(entry - entries.begin()), from, std::min(end, entry->end()) - from);
  }
}

double nadam_momentum(double beta1, int64_t step) {
  return beta1 * (1 - 0.5 * std::pow(0.96, static_cast<double>(step) * kNadamDecay));
}

// RAdam: of a simple average as reliable as the squares' so far, and the longest.
struct AverageLength {
  double now, longest;
};

AverageLength radam_length(int64_t steps) {
  const double t = static_cast<double>(steps), power = std::pow(kBeta2, t), longest = 2 / (1 - kBeta2) - 1;
  return {longest - 2 * t * power / (1 - power), longest};
}

constexpr double kLeastLength = 5;  // up to it there are too few steps for a variance

bool has_second(OptimizerKind kind, const ParameterGroup& group) {
  return kind != OptimizerKind::kSgd && (kind != OptimizerKind::kMuSgd || group.kind == "muon");
}

bool is_copied(ParameterRole role) {
  return role == ParameterRole::kScalar || role == ParameterRole::kConstant || role == ParameterRole::kFixed;
}

}  // namespace

FlatOptimizer::FlatOptimizer(FlatParameters& parameters, std::vector<ParameterGroup> groups,
                             OptimizerKind kind, double beta1, cpu::SimdLevel level)
    : parameters_(parameters),
      groups_(std::move(groups)),
      kind_(kind),
      beta1_(beta1),
      level_(level),
      rules_(update_rules(level)),
      moments_(parameters.entries().size()),
      first_({parameters.trained_size()}) {
  for (size_t g = 0; g < groups_.size(); ++g)
    for (const std::string& name : groups_[g].names)
      moments_[parameters_.index_of(name)].group = static_cast<int>(g);
  if (kind_ != OptimizerKind::kSgd) second_ = Tensor({parameters.trained_size()});
}

bool FlatOptimizer::is_updated(size_t entry) const {
  return parameters_.entries()[entry].has_gradient && moments_[entry].group >= 0;
}

double FlatOptimizer::clip_gradients(double max_norm, double factor, cpu::ThreadPool& pool) {
  float* gradients = parameters_.all_gradients().data();
  std::vector<double> squares(static_cast<size_t>(chunks_of(parameters_.trained_size())));
  const float pending = parameters_.gradient_scale();
  pool.parallel_for(static_cast<int64_t>(squares.size()), [&](int64_t chunk, int) {
    for_each_part(parameters_.entries(), chunk, [&](size_t entry, int64_t begin, int64_t size) {
      if (!is_updated(entry)) return;
      for (const float scale : {pending, static_cast<float>(factor)})
        if (scale != 1) rules_.scale(gradients + begin, scale, size);
      squares[static_cast<size_t>(chunk)] += rules_.sum_of_squares(gradients + begin, size);
    });
  });
  const double norm = std::sqrt(std::accumulate(squares.begin(), squares.end(), 0.0));
  const double scale = max_norm / (norm + kClipEps);
  parameters_.set_gradient_scale(scale < 1 ? static_cast<float>(scale) : 1);
  return norm;
}

void FlatOptimizer::update(const IterationSettings& settings, cpu::ThreadPool& pool) {
  constexpr double kDecay = 0.9999;
  constexpr double kRamp = 2000;  // updates
  ++steps_;
  ++average_updates_;
  if (kind_ == OptimizerKind::kNadam) momentum_product_ *= nadam_momentum(beta1_, steps_);
  const double keep = kDecay * (1 - std::exp(-static_cast<double>(average_updates_) / kRamp));
  const auto share = static_cast<float>(1 - keep);
  std::vector<StepNumbers> numbers;
  for (const ParameterGroup& group : groups_) {
    numbers.push_back(numbers_of(group, settings));
    numbers.back().average_share = share;
  }
  if (kind_ == OptimizerKind::kMuSgd) step_muon(settings, pool);

  const UpdateRule apply = rule();
  const std::vector<FlatParameters::Entry>& entries = parameters_.entries();
  float* weights = parameters_.all_weights().data();
  float* average = parameters_.all_average().data();
  const float* gradients = parameters_.all_gradients().data();
  float* first = first_.values().data();
  float* second = second_.values().data();
  pool.parallel_for(chunks_of(parameters_.size()), [&](int64_t chunk, int) {
    for_each_part(entries, chunk, [&](size_t entry, int64_t begin, int64_t size) {
      if (is_updated(entry))
        apply({weights + begin, gradients + begin, first + begin,
               second == nullptr ? nullptr : second + begin, average + begin, size},
              numbers[static_cast<size_t>(moments_[entry].group)]);
      else if (is_copied(entries[entry].role))
        std::copy_n(weights + begin, size, average + begin);
      else
        rules_.move_average(weights + begin, average + begin, size, share);
    });
  });
  for (size_t entry = 0; entry < entries.size(); ++entry)
    if (is_updated(entry)) {
      moments_[entry].has_first = true;
      moments_[entry].has_second = has_second(kind_, groups_[static_cast<size_t>(moments_[entry].group)]);
    }
  parameters_.drop_gradients();
}

// Nesterov's momentum as Sutskever et al. 2013 have it; the first step starts the average with the gradient
// itself, since it is zero before. RMSProp: Hinton's lecture 6e. Adam and Adamax: Kingma and Ba 2015. AdamW:
// Loshchilov and Hutter 2019. NAdam: Dozat 2016. RAdam: Liu et al. 2020.
StepNumbers FlatOptimizer::numbers_of(const ParameterGroup& group, const IterationSettings& settings) const {
  const double lr = rate_of(group, settings);
  const double t = static_cast<double>(steps_);
  const double correction1 = 1 - std::pow(beta1_, t), correction2 = 1 - std::pow(kBeta2, t);
  StepNumbers n;
  n.gradient_scale = parameters_.gradient_scale();
  if (kind_ == OptimizerKind::kAdamW)
    n.shrink = static_cast<float>(1 - lr * group.weight_decay);
  else
    n.decay = static_cast<float>(group.weight_decay);
  n.first_keep = static_cast<float>(beta1_);
  n.first_share = static_cast<float>(1 - beta1_);
  n.second_keep = static_cast<float>(kBeta2);
  n.second_share = static_cast<float>(1 - kBeta2);
  switch (kind_) {
    case OptimizerKind::kRmsProp:
      n.second_keep = static_cast<float>(kRmsAlpha);
      n.second_share = static_cast<float>(1 - kRmsAlpha);
      [[fallthrough]];
    case OptimizerKind::kSgd:
    case OptimizerKind::kMuSgd:
      n.first_keep = static_cast<float>(settings.momentum);
      n.rate = static_cast<float>(-lr);
      break;
    case OptimizerKind::kAdam:
    case OptimizerKind::kAdamW:
      n.divisor = static_cast<float>(std::sqrt(correction2));
      [[fallthrough]];
    case OptimizerKind::kAdamax:
      n.rate = static_cast<float>(-lr / correction1);
      break;
    case OptimizerKind::kNadam: {
      const double now = nadam_momentum(beta1_, steps_), next = nadam_momentum(beta1_, steps_ + 1);
      n.divisor = static_cast<float>(correction2);
      n.gradient_rate = static_cast<float>(-lr * (1 - now) / (1 - momentum_product_));
      n.rate = static_cast<float>(-lr * next / (1 - momentum_product_ * next));
      break;
    }
    case OptimizerKind::kRadam: {
      const auto [length, longest] = radam_length(steps_);
      n.rate = static_cast<float>(-lr / correction1);
      if (length <= kLeastLength) break;
      const double rectified =
          std::sqrt((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length));
      n.rate = static_cast<float>(-lr / correction1 * rectified * std::sqrt(correction2));
    }
  }
  return n;
}

UpdateRule FlatOptimizer::rule() const {
  switch (kind_) {
    case OptimizerKind::kSgd:
    case OptimizerKind::kMuSgd:
      return rules_.sgd;
    case OptimizerKind::kRmsProp:
      return rules_.rms_prop;
    case OptimizerKind::kAdamax:
      return rules_.adamax;
    case OptimizerKind::kNadam:
      return rules_.nadam;
    case OptimizerKind::kRadam:
      return radam_length(steps_).now <= kLeastLength ? rules_.radam_early : rules_.radam;
    case OptimizerKind::kAdam:
    case OptimizerKind::kAdamW:
      break;
  }
  return rules_.adam;
}

// The first half of MuSGD's step of a matrix: Muon's, with Nesterov's momentum of averaged gradients. The
// second is SGD's, whose decay sees what this made.
void FlatOptimizer::step_muon(const IterationSettings& settings, cpu::ThreadPool& pool) {
  const std::vector<FlatParameters::Entry>& entries = parameters_.entries();
  std::vector<size_t> matrices;
  int64_t largest = 0;
  for (size_t i = 0; i < entries.size(); ++i) {
    if (moments_[i].group < 0 || groups_[static_cast<size_t>(moments_[i].group)].kind != "muon") continue;
    largest = std::max(largest, entries[i].end() - entries[i].begin);
    if (is_updated(i)) matrices.push_back(i);
  }
  while (scratch_.size() < static_cast<size_t>(pool.threads()))
    scratch_.push_back({Orthogonalizer(level_), Tensor({largest})});

  const auto keep = static_cast<float>(settings.momentum);
  const auto share = static_cast<float>(1 - settings.momentum);
  pool.parallel_for(static_cast<int64_t>(matrices.size()), [&](int64_t task, int thread) {
    const size_t i = matrices[static_cast<size_t>(task)];
    const FlatParameters::Entry& entry = entries[i];
    const Shape& shape = entry.shape;
    Scratch& scratch = scratch_[static_cast<size_t>(thread)];
    const auto begin = static_cast<size_t>(entry.begin);
    const int64_t room = entry.end() - entry.begin;
    const std::span<float> ahead = scratch.ahead.values();
    rules_.look_ahead(&parameters_.all_gradients()[begin], parameters_.gradient_scale(), keep, share,
                      &second_.values()[begin], ahead.data(), room);
    const int64_t rows = shape[0];
    scratch.orthogonalizer.orthogonalize(ahead.first(static_cast<size_t>(entry.size)), rows,
                                         entry.size / rows);
    const double scale = std::sqrt(
        std::max(1.0, static_cast<double>(shape[shape.size() - 2]) / static_cast<double>(shape.back())));
    const double lr = rate_of(groups_[static_cast<size_t>(moments_[i].group)], settings);
    rules_.add_scaled(ahead.data(), static_cast<float>(-kMuonShare * lr * scale),
                      &parameters_.all_weights()[begin], room);
  });
}

FlatOptimizer::State FlatOptimizer::state() const {
  State state = {idle_, steps_, momentum_product_, average_updates_};
  for (size_t i = 0; i < moments_.size(); ++i) {
    const FlatParameters::Entry& entry = parameters_.entries()[i];
    const auto copy = [&](std::string_view slot, const Tensor& moments) {
      state.tensors.emplace(
          std::string(slot) + entry.name,
          Tensor::from(entry.shape, moments.values().subspan(static_cast<size_t>(entry.begin),
                                                             static_cast<size_t>(entry.size))));
    };
    if (moments_[i].has_first) copy(kFirst, first_);
    if (moments_[i].has_second) copy(kSecond, second_);
  }
  return state;
}

std::vector<std::span<float>> FlatOptimizer::all_moments() {
  std::vector<std::span<float>> all = {first_.values()};
  if (second_.defined()) all.push_back(second_.values());
  return all;
}

void FlatOptimizer::load(const State& state) {
  const std::vector<FlatParameters::Entry>& entries = parameters_.entries();
  const auto entry_of = [&](std::string_view name) {  // entries.size(): none
    for (const std::string_view slot : {kFirst, kSecond}) {
      if (!name.starts_with(slot)) continue;
      const auto found = std::ranges::find(entries, name.substr(slot.size()), &FlatParameters::Entry::name);
      const auto i = static_cast<size_t>(found - entries.begin());
      return i < entries.size() && moments_[i].group >= 0 ? i : entries.size();
    }
    return entries.size();
  };
  for (const auto& [name, tensor] : state.tensors) {
    const size_t i = entry_of(name);
    if (i == entries.size())
      throw Error(ErrorKind::kModel, "optimizer tensor '" + name + "' belongs to no parameter of the model");
    if (tensor.shape() != entries[i].shape || tensor.dtype() != DType::kFloat32)
      throw Error(ErrorKind::kModel, "optimizer tensor '" + name + "' is " + to_string(tensor.shape()) +
                                         "; the model wants float32 " + to_string(entries[i].shape));
  }

  for (Tensor* moments : {&first_, &second_}) std::ranges::fill(moments->values(), 0.0F);
  for (Moments& moments : moments_) moments.has_first = moments.has_second = false;
  idle_.clear();
  for (const auto& [name, tensor] : state.tensors) {
    const size_t i = entry_of(name);
    const bool is_first = name.starts_with(kFirst);
    if (!entries[i].trained ||
        !(is_first || has_second(kind_, groups_[static_cast<size_t>(moments_[i].group)]))) {
      idle_.emplace(name, tensor.clone());
      continue;
    }
    (is_first ? moments_[i].has_first : moments_[i].has_second) = true;
    std::ranges::copy(tensor.values(), (is_first ? first_ : second_).values().begin() + entries[i].begin);
  }
  steps_ = state.steps;
  momentum_product_ = state.momentum_product;
  average_updates_ = state.average_updates;
}

}  // namespace marrow::train
