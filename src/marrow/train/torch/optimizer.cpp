#include "marrow/train/torch/optimizer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "marrow/base/error.h"

namespace marrow::train {
namespace {

constexpr double kBeta2 = 0.999;
constexpr double kEps = 1e-8;
constexpr double kRmsAlpha = 0.99;
constexpr double kNadamDecay = 4e-3;  // of the momentum schedule: Dozat 2016
constexpr double kClipEps = 1e-6;

constexpr const char* kFirst = "momentum/";
constexpr const char* kSecond = "variance/";  // of MuSGD the average of the matrix's gradients

double nadam_momentum(double beta1, int64_t step) {
  return beta1 * (1 - 0.5 * std::pow(0.96, static_cast<double>(step) * kNadamDecay));
}

}  // namespace

torch::Tensor orthogonalised(const torch::Tensor& matrix) {
  const auto rounded = [](const torch::Tensor& x) { return x.to(torch::kBFloat16).to(torch::kFloat32); };
  constexpr int kSteps = 5;
  constexpr double kA = 3.4445, kB = -4.7750, kC = 2.0315, kNormEps = 1e-7;
  torch::Tensor x = rounded(matrix);
  x = rounded(x / rounded(rounded(x.norm()) + kNormEps));
  const bool tall = x.size(0) > x.size(1);
  if (tall) x = x.t();
  for (int i = 0; i < kSteps; ++i) {
    const torch::Tensor a = rounded(at::matmul(x, x.t()));
    // A product and what is added to it are rounded together.
    const torch::Tensor b = rounded(a * kB + at::matmul(a, a) * kC);
    x = rounded(x * kA + at::matmul(b, x));
  }
  return tall ? x.t() : x;
}

Optimizer::Optimizer(const TorchExecutor& executor, std::vector<ParameterGroup> groups,
                     const OptimizerOptions& options)
    : groups_(std::move(groups)), options_(options) {
  for (size_t g = 0; g < groups_.size(); ++g)
    for (const std::string& name : groups_[g].names)
      entries_.push_back({name, executor.parameter(name), g, {}, {}});
}

double Optimizer::clip_gradients(double max_norm, double factor) {
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> gradients, norms;
  for (const Entry& entry : entries_) {
    torch::Tensor gradient = entry.parameter.grad();
    if (!gradient.defined()) continue;
    if (factor != 1) gradient.mul_(factor);
    norms.push_back(gradient.norm());
    gradients.push_back(gradient);
  }
  if (norms.empty()) return 0;
  const double norm = torch::stack(norms).norm().item<double>();
  const double scale = max_norm / (norm + kClipEps);
  if (scale < 1)
    for (torch::Tensor& gradient : gradients) gradient.mul_(scale);
  return norm;
}

void Optimizer::step(const IterationSettings& settings) {
  const torch::NoGradGuard no_grad;
  ++steps_;
  if (options_.kind == OptimizerKind::kNadam) momentum_product_ *= nadam_momentum(options_.beta1, steps_);
  for (Entry& entry : entries_) {
    torch::Tensor gradient = entry.parameter.grad();
    if (!gradient.defined()) continue;
    const ParameterGroup& group = groups_[entry.group];
    const double lr = rate_of(group, settings);
    if (group.kind == "muon") {
      step_muon(entry, gradient, lr, settings.momentum);
      // The decay that follows sees what this step made.
    }
    const double decay = group.weight_decay;
    if (decay != 0) {
      if (options_.kind == OptimizerKind::kAdamW)
        entry.parameter.mul_(1 - lr * decay);
      else
        gradient = gradient.add(entry.parameter, decay);
    }
    switch (options_.kind) {
      case OptimizerKind::kSgd:
      case OptimizerKind::kMuSgd:
        step_sgd(entry, gradient, lr, settings.momentum);
        break;
      case OptimizerKind::kRmsProp:
        step_rms_prop(entry, gradient, lr, settings.momentum);
        break;
      default:
        step_adam(entry, gradient, lr);
    }
  }
}

torch::Tensor& Optimizer::made(torch::Tensor& moment, const Entry& entry) {
  if (!moment.defined()) moment = torch::zeros_like(entry.parameter);
  return moment;
}

// Nesterov's momentum as Sutskever et al. 2013 have it; the first step starts the average with the gradient
// itself.
void Optimizer::step_sgd(Entry& entry, torch::Tensor gradient, double lr, double momentum) {
  if (entry.first.defined())
    entry.first.mul_(momentum).add_(gradient);
  else
    entry.first = gradient.detach().clone();
  entry.parameter.add_(gradient.add(entry.first, momentum), -lr);
}

// The first half of MuSGD's step of a matrix: Muon's, with Nesterov's momentum of averaged gradients. The
// second is SGD's.
void Optimizer::step_muon(Entry& entry, const torch::Tensor& gradient, double lr, double momentum) {
  constexpr double kMuonShare = 0.2;
  const torch::Tensor& average = made(entry.second, entry).mul_(momentum).add_(gradient, 1 - momentum);
  const torch::Tensor ahead = (average * momentum).add_(gradient, 1 - momentum);
  const torch::Tensor direction = orthogonalised(ahead.contiguous().view({ahead.size(0), -1}));
  const double scale =
      std::sqrt(std::max(1.0, static_cast<double>(ahead.size(-2)) / static_cast<double>(ahead.size(-1))));
  entry.parameter.add_(direction.reshape(ahead.sizes()), -kMuonShare * lr * scale);
}

// RMSProp: Hinton's lecture 6e.
void Optimizer::step_rms_prop(Entry& entry, const torch::Tensor& gradient, double lr, double momentum) {
  made(entry.second, entry).mul_(kRmsAlpha).addcmul_(gradient, gradient, 1 - kRmsAlpha);
  made(entry.first, entry).mul_(momentum).addcdiv_(gradient, entry.second.sqrt().add_(kEps));
  entry.parameter.add_(entry.first, -lr);
}

// Adam and Adamax: Kingma and Ba 2015. AdamW: Loshchilov and Hutter 2019. NAdam: Dozat 2016. RAdam: Liu et
// al. 2020.
void Optimizer::step_adam(Entry& entry, const torch::Tensor& gradient, double lr) {
  const double t = static_cast<double>(steps_);
  const double beta1 = options_.beta1;
  const double correction1 = 1 - std::pow(beta1, t);
  const double correction2 = 1 - std::pow(kBeta2, t);
  const torch::Tensor& mean = made(entry.first, entry).mul_(beta1).add_(gradient, 1 - beta1);
  torch::Tensor& square = made(entry.second, entry);
  if (options_.kind == OptimizerKind::kAdamax) {
    square = torch::maximum(square.mul_(kBeta2), gradient.abs().add_(kEps));
    entry.parameter.addcdiv_(mean, square, -lr / correction1);
    return;
  }
  square.mul_(kBeta2).addcmul_(gradient, gradient, 1 - kBeta2);
  switch (options_.kind) {
    case OptimizerKind::kNadam: {
      const torch::Tensor scale = square.div(correction2).sqrt_().add_(kEps);
      const double now = nadam_momentum(beta1, steps_);
      const double next = nadam_momentum(beta1, steps_ + 1);
      entry.parameter.addcdiv_(gradient, scale, -lr * (1 - now) / (1 - momentum_product_));
      entry.parameter.addcdiv_(mean, scale, -lr * next / (1 - momentum_product_ * next));
      return;
    }
    case OptimizerKind::kRadam: {
      const double longest = 2 / (1 - kBeta2) - 1;
      const double length = longest - 2 * t * std::pow(kBeta2, t) / correction2;
      if (length <= 5) {  // too few steps for a variance
        entry.parameter.add_(mean, -lr / correction1);
        return;
      }
      const double rectified =
          std::sqrt((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length));
      entry.parameter.addcdiv_(mean, square.sqrt().add_(kEps),
                               -lr / correction1 * rectified * std::sqrt(correction2));
      return;
    }
    default:
      entry.parameter.addcdiv_(mean, square.sqrt().div_(std::sqrt(correction2)).add_(kEps),
                               -lr / correction1);
  }
}

Optimizer::State Optimizer::state() const {
  State state;
  state.steps = steps_;
  state.momentum_product = momentum_product_;
  for (const Entry& entry : entries_) {
    if (entry.first.defined()) state.tensors[kFirst + entry.name] = from_torch(entry.first);
    if (entry.second.defined()) state.tensors[kSecond + entry.name] = from_torch(entry.second);
  }
  return state;
}

void Optimizer::load(const State& state) {
  size_t used = 0;
  for (Entry& entry : entries_)
    for (const auto& [slot, moment] : {std::pair{kFirst, &entry.first}, {kSecond, &entry.second}}) {
      moment->reset();
      const auto found = state.tensors.find(slot + entry.name);
      if (found == state.tensors.end()) continue;
      ++used;
      const Shape wanted(entry.parameter.sizes().begin(), entry.parameter.sizes().end());
      if (found->second.shape() != wanted || found->second.dtype() != DType::kFloat32)
        throw Error(ErrorKind::kModel, "optimizer tensor '" + found->first + "' is " +
                                           to_string(found->second.shape()) + "; the model wants float32 " +
                                           to_string(wanted));
      // The parameter's own layout, so that later steps add in the same order as before.
      *moment = torch::empty_like(entry.parameter);
      const torch::NoGradGuard no_grad;
      moment->copy_(to_torch(found->second));
    }
  if (used != state.tensors.size())
    for (const auto& [name, tensor] : state.tensors) {
      const bool known = std::ranges::any_of(
          entries_, [&, &n = name](const Entry& e) { return n == kFirst + e.name || n == kSecond + e.name; });
      if (!known)
        throw Error(ErrorKind::kModel,
                    "optimizer tensor '" + name + "' belongs to no parameter of the model");
    }
  steps_ = state.steps;
  momentum_product_ = state.momentum_product;
}

}  // namespace marrow::train
