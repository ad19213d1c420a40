// Small networks of every family: random weights in the layouts of their sources, outputs by the reference
// executor. VanillaNet's deploy form is fused here by its formula, not by the passes.
#include "marrow/base/files.h"
#include "marrow/graph/reference/executor.h"
#include "marrow/weights/torch/torch_writer.h"
#include "nn/backbones/published_file.h"
#include "record.h"
#include "weights/pickle_writer.h"

namespace marrow::golden {
namespace {

constexpr int kClassifierClasses = 4;

struct Network {
  std::string name, family, source;
  json config;
};

const std::vector<Network> kNetworks = {
    {"efficientnet_lukemelas", "efficientnet", "lukemelas", {{"width", 0.05}, {"depth", 0.25}}},
    {"efficientnet_torchvision", "efficientnet", "torchvision", {{"width", 0.05}, {"depth", 0.25}}},
    {"pp_lcnet_ngnquan", "pp_lcnet", "ngnquan", {{"scale", 0.02}, {"depth", 0.5}}},
    {"pp_lcnet_paddle", "pp_lcnet", "paddle", {{"scale", 0.02}, {"depth", 0.5}}},
    {"shufflenet_v2_megvii", "shufflenet_v2", "megvii", {{"channels", {8, 16, 24, 32, 40}}, {"depth", 0.5}}},
    {"shufflenet_v2_torchvision",
     "shufflenet_v2",
     "torchvision",
     {{"channels", {8, 16, 24, 32, 40}}, {"depth", 0.5}}},
    {"starnet",
     "starnet",
     "rewrite-the-stars",
     {{"base_dim", 4}, {"depths", {1, 1, 1, 1}}, {"mlp_ratio", 2}}},
    {"vanillanet",
     "vanillanet",
     "vanillanet",
     {{"dims", {8, 12, 16, 24}}, {"strides", {2, 2, 2}}, {"act_num", 2}}},
};

// The tensors under the names of their source.
Weights published(const nn::BackboneChoice& choice, const Weights& ours) {
  Weights kept;
  for (const Parameter& parameter : nn::build_classifier(choice, kClassifierClasses).parameters)
    if (!parameter.optional()) kept.emplace(parameter.name, ours.at(parameter.name));
  std::vector<weights::RenameRule> rules;
  for (const weights::RenameRule& rule : testing::layout_of(choice).rules(choice.config)) {
    rules.push_back(testing::reversed(rule));
    rules.back().transform = rule.transform;  // a transposition undoes itself
  }
  return weights::rename(kept, rules);
}

Weights weights_of(const Graph& graph, const std::string& name, const Tensor& input) {
  return reference::measure_batch_statistics(graph, random_weights(graph, name), input);
}

// Every output and tap as `prefix` and its name; the maps before stride 4, which are large, of the first
// input only.
void add_outputs(Weights& io, const std::string& prefix, const Graph& graph, const Weights& weights,
                 const Tensor& input) {
  std::vector<Value> targets;
  std::vector<std::string> names;
  for (const auto& list : {graph.outputs, graph.taps})
    for (const NamedValue& named : list) {
      if (prefix.starts_with("odd.") && (named.name == "stem" || named.name == "c1" || named.name == "s2"))
        continue;
      targets.push_back(named.value);
      names.push_back(prefix + named.name);
    }
  const std::vector<Tensor> values = reference::run_reference(graph, weights, input, targets);
  for (size_t i = 0; i < names.size(); ++i) io[names[i]] = values[i];
}

void write_case(const fs::path& folder, const Network& network, const std::vector<std::string>& checkpoints,
                const Weights& io) {
  json tensors = json::array();
  for (const auto& entry : io) tensors.push_back(entry.first);
  write_json(folder / "case.json", {{"family", network.family},
                                    {"source", network.source},
                                    {"config", network.config},
                                    {"num_classes", kClassifierClasses},
                                    {"checkpoints", checkpoints},
                                    {"tensors", tensors}});
  write_tensors(folder / "io.safetensors", io);
}

// A pickled dict of numpy arrays, as paddle.save writes a state dict.
void write_paddle(const fs::path& path, const Weights& tensors) {
  testing::PickleWriter p;
  p.proto(4).raw("}(");
  for (const auto& [name, tensor] : tensors)
    testing::numpy_array(p.text(name), tensor.shape(), "f4",
                         {reinterpret_cast<const char*>(tensor.bytes()), tensor.byte_size()});
  write_file_atomically(path, p.raw("u").stop());
}

// What a training script saves: the model, its average, and numbers.
void write_wrapped(const fs::path& path, const Weights& model, const Weights& average) {
  testing::PickleWriter p;
  std::vector<std::string> storages;
  p.proto().raw("}(");
  for (const auto& [key, weights] : {std::pair{"model", &model}, {"model_ema", &average}}) {
    p.text(key).raw("}(");
    for (const auto& [name, tensor] : *weights) {
      std::vector<int64_t> strides(tensor.shape().size(), 1);
      for (size_t axis = strides.size(); axis-- > 1;) strides[axis - 1] = strides[axis] * tensor.dim(axis);
      p.text(name).tensor(std::to_string(storages.size()), tensor.size(), 0, tensor.shape(), strides);
      storages.emplace_back(reinterpret_cast<const char*>(tensor.bytes()), tensor.byte_size());
    }
    p.raw("u");
  }
  p.text("epoch").integer(3).raw("u");
  write_file_atomically(path, testing::torch_archive(p.stop(), storages));
}

void record_network(const fs::path& root, const Network& network) {
  const fs::path folder = root / "backbones" / network.name;
  fs::create_directories(folder);
  json overrides = network.config;
  overrides["source"] = network.source;
  const nn::BackboneChoice choice = nn::choose_backbone(network.family, overrides);
  const Graph graph = nn::build_classifier(choice, kClassifierClasses);
  Weights io = {{"input", noise({1, 3, 32, 40}, network.name + "/input")},
                {"odd", noise({1, 3, 37, 33}, network.name + "/odd")}};
  const Weights weights = weights_of(graph, network.name, io.at("input"));
  add_outputs(io, "", graph, weights, Tensor(io.at("input")));
  add_outputs(io, "odd.", graph, weights, Tensor(io.at("odd")));
  const Weights file = published(choice, weights);
  std::vector<std::string> checkpoints = {"weights.pth"};
  weights::write_torch_state_dict(folder / "weights.pth", file);
  if (network.source == "paddle") {
    checkpoints.push_back("weights.pdparams");
    write_paddle(folder / "weights.pdparams", file);
  }
  write_case(folder, network, checkpoints, io);
}

// Rows of doubles: a convolution's weight (out, in * kernel * kernel), with its bias.
struct Linear {
  size_t out, in;
  std::vector<double> weight, bias;
};

Linear convolution(const Weights& weights, const std::string& name, bool has_bias = true) {
  const Tensor& weight = weights.at(name + ".weight");
  Linear layer{
      static_cast<size_t>(weight.dim(0)), static_cast<size_t>(weight.size() / weight.dim(0)), {}, {}};
  layer.weight.assign(weight.values().begin(), weight.values().end());
  layer.bias.assign(layer.out, 0.0);
  if (has_bias) std::ranges::copy(weights.at(name + ".bias").values(), layer.bias.begin());
  return layer;
}

// (w x + b - mean) gamma / sqrt(var + eps) + beta, eps = 1e-6 as VanillaNet has it.
Linear normalised(Linear layer, const Weights& weights, const std::string& norm) {
  for (size_t o = 0; o < layer.out; ++o) {
    const auto number = [&](const char* part) {
      return static_cast<double>(weights.at(norm + part).values()[o]);
    };
    const double scale = number(".weight") / std::sqrt(number(".running_var") + 1e-6);
    for (size_t i = 0; i < layer.in; ++i) layer.weight[o * layer.in + i] *= scale;
    layer.bias[o] = (layer.bias[o] - number(".running_mean")) * scale + number(".bias");
  }
  return layer;
}

// b(a(x)) where b is a 1x1 convolution.
Linear chained(const Linear& a, const Linear& b) {
  Linear both{b.out, a.in, std::vector<double>(b.out * a.in), b.bias};
  for (size_t o = 0; o < b.out; ++o)
    for (size_t k = 0; k < a.out; ++k) {
      both.bias[o] += b.weight[o * b.in + k] * a.bias[k];
      for (size_t i = 0; i < a.in; ++i)
        both.weight[o * a.in + i] += b.weight[o * b.in + k] * a.weight[k * a.in + i];
    }
  return both;
}

// Chen et al. 2023, section 3.1: at the end of training the activation between a pair of convolutions is the
// identity, so that the pair is one; and a batch norm behind a convolution is part of it.
Weights fused_vanillanet(const Weights& trained, const Graph& deployed, size_t blocks) {
  Weights fused;
  const auto put = [&](const std::string& name, const Linear& layer) {
    const Shape& shape = deployed.find_parameter(name + ".weight")->shape;
    fused.emplace(name + ".weight", tensor_of<float>(shape, layer.weight));
    fused.emplace(name + ".bias", tensor_of<float>({static_cast<int64_t>(layer.out)}, layer.bias));
  };
  const auto pair = [&](const std::string& first, const std::string& norm, const Linear& second) {
    return chained(normalised(convolution(trained, first), trained, norm), second);
  };
  const auto activation = [&](const std::string& name) {
    return normalised(convolution(trained, name, false), trained, name + ".bn");
  };
  put("stem.0", pair("stem1.0", "stem1.1", normalised(convolution(trained, "stem2.0"), trained, "stem2.1")));
  put("stem.1", activation("stem2.2"));
  for (size_t i = 0; i < blocks; ++i) {
    const std::string block = "stages." + std::to_string(i) + ".";
    put(block + "conv",
        pair(block + "conv1.0", block + "conv1.1",
             normalised(convolution(trained, block + "conv2.0"), trained, block + "conv2.1")));
    put(block + "act", activation(block + "act"));
  }
  put("cls.2", pair("cls1.2", "cls1.3", convolution(trained, "cls2.0")));
  return fused;
}

// In training form at three slopes, and deployed: what the deployed network gives is what the other gives at
// slope 1.
void record_vanillanet(const fs::path& root, const Network& network) {
  const fs::path folder = root / "backbones" / network.name;
  fs::create_directories(folder);
  json overrides = network.config;
  overrides["source"] = network.source;
  const nn::BackboneChoice choice = nn::choose_backbone(network.family, overrides);
  overrides["deploy"] = true;
  const nn::BackboneChoice deployed = nn::choose_backbone(network.family, overrides);
  const Graph graph = nn::build_classifier(choice, kClassifierClasses);
  const Tensor input = noise({1, 3, 32, 40}, network.name + "/input"),
               odd = noise({1, 3, 37, 33}, network.name + "/odd");
  Weights weights = weights_of(graph, network.name, input);
  Weights io = {{"input", input}, {"odd", odd}};
  for (const auto& [form, slope] :
       {std::pair{"train_a000.", 0.f}, {"train_a037.", 0.37f}, {"train_a100.", 1.f}, {"deploy.", 1.f}}) {
    weights.at("act_learn") = Tensor::scalar(slope);
    add_outputs(io, form, graph, weights, input);
    add_outputs(io, std::string("odd.") + form, graph, weights, odd);
  }
  weights::write_torch_state_dict(folder / "train.pth", published(choice, weights));
  const size_t blocks = network.config.at("strides").size();
  weights::write_torch_state_dict(
      folder / "deploy.pth",
      fused_vanillanet(weights, nn::build_classifier(deployed, kClassifierClasses), blocks));
  write_case(folder, network, {"train.pth", "deploy.pth"}, io);
}

// Two networks in one file.
void record_wrapped(const fs::path& root) {
  const Network network = {"vanillanet_wrapped",
                           "vanillanet",
                           "vanillanet",
                           {{"dims", {8, 12, 16, 24}}, {"strides", {2, 2, 2}}, {"act_num", 1}}};
  const fs::path folder = root / "backbones" / network.name;
  fs::create_directories(folder);
  const nn::BackboneChoice choice = nn::choose_backbone(network.family, network.config);
  const Graph graph = nn::build_classifier(choice, kClassifierClasses);
  Weights io = {{"input", noise({1, 3, 32, 32}, network.name + "/input")}};
  std::vector<Weights> files;
  for (const std::string key : {"model", "model_ema"}) {
    const Weights weights = weights_of(graph, network.name + "/" + key, io.at("input"));
    add_outputs(io, key + ".", graph, weights, Tensor(io.at("input")));
    files.push_back(published(choice, weights));
  }
  write_wrapped(folder / "checkpoint.pth", files[0], files[1]);
  write_case(folder, network, {"checkpoint.pth"}, io);
}

}  // namespace

void record_backbones(const fs::path& root) {
  for (const Network& network : kNetworks)
    (network.family == "vanillanet" ? record_vanillanet : record_network)(root, network);
  record_wrapped(root);
}

}  // namespace marrow::golden
