// One training step of one block of each family: outputs, statistics and all gradients by formula
// (plain_network.h, dual.h), under the names that recorded_blocks.h reads.
#include "nn/backbones/published_file.h"
#include "plain_network.h"
#include "record.h"
#include "support/recorded_blocks.h"

namespace marrow::golden {
namespace {

struct Block {
  std::string name;
  std::string marker;  // a tensor that only this kind of block has
  std::map<std::string, std::string> arguments;
  int in, height, width;
};

const std::vector<Block> kBlocks = {
    {"vanillanet_block",
     "param.conv1.0.weight",
     {{"dim", "6"}, {"dim_out", "8"}, {"act_num", "2"}, {"stride", "2"}, {"act_learn", "0.37"}},
     6,
     9,
     8},
    {"shufflenetv2_unit_s1",
     "param.branch2.0.weight",
     {{"inp", "8"}, {"oup", "8"}, {"stride", "1"}},
     8,
     6,
     5},
    {"shufflenetv2_unit_s2",
     "param.branch2.0.weight",
     {{"inp", "8"}, {"oup", "12"}, {"stride", "2"}},
     8,
     7,
     8},
    {"starnet_block",
     "param.f1.conv.weight",
     {{"dim", "6"}, {"mlp_ratio", "3"}, {"drop_path", "0"}},
     6,
     5,
     6},
    {"pplcnet_depsepconv_se",
     "param.dw_conv.conv.weight",
     {{"in", "8"}, {"out", "10"}, {"stride", "2"}, {"kernel", "5"}, {"se", "True"}},
     8,
     8,
     7},
    {"efficientnet_mbconv_k3s1",
     "param._depthwise_conv.weight",
     {{"in", "8"}, {"out", "8"}, {"kernel", "3"}, {"stride", "1"}, {"expand", "3"}},
     8,
     5,
     6},
    {"efficientnet_mbconv_k5s2",
     "param._depthwise_conv.weight",
     {{"in", "8"}, {"out", "10"}, {"kernel", "5"}, {"stride", "2"}, {"expand", "3"}},
     8,
     8,
     7},
};

template <class T>
Maps<T> maps_of(const Weights& weights) {
  Maps<T> maps;
  for (const auto& [name, tensor] : weights) maps.emplace(name, Map<T>(tensor));
  return maps;
}

Tensor tensor_of_map(const Map<double>& map, const Shape& shape) {
  return tensor_of<float>(shape, map.values);
}

void record_block(const fs::path& folder, const Block& block) {
  weights::SafetensorsFile description{{{block.marker, Tensor({1})}}, block.arguments};
  const testing::RecordedBlock line = testing::recorded_block(description);
  const Graph graph = testing::build_block(line, block.in);
  const Value target = graph.find("output");
  Weights weights = random_weights(graph, block.name);
  if (block.arguments.contains("act_learn"))
    weights.at("act_learn") = Tensor::scalar(std::stof(block.arguments.at("act_learn")));
  // Statistics that no step has yet reached.
  for (const Parameter& parameter : graph.parameters) {
    Draws draws(block.name + "/before/" + parameter.name);
    if (parameter.role == ParameterRole::kRunningMean)
      for (float& value : weights.at(parameter.name).values())
        value = static_cast<float>(draws.uniform(-0.2, 0.2));
    if (parameter.role == ParameterRole::kRunningVar)
      for (float& value : weights.at(parameter.name).values())
        value = static_cast<float>(draws.uniform(0.5, 1.5));
  }
  const Tensor input = noise({2, block.in, block.height, block.width}, block.name + "/input");

  PlainNetwork<double> step(graph, maps_of<double>(weights), true);
  const Map<double> output = step.run(Map<double>(input), target);
  const Shape output_shape = {output.n, output.c, output.h, output.w};
  const Tensor rand = noise(output_shape, block.name + "/rand");
  const Map<double> evaluated =
      PlainNetwork<double>(graph, maps_of<double>(weights), false).run(Map<double>(input), target);

  // d sum(output * rand) by one number, which `choose` marks.
  const auto derivative = [&](const auto& choose) {
    Maps<Dual> parameters = maps_of<Dual>(weights);
    Map<Dual> image(input);
    choose(parameters, image).slope = 1;
    const Map<Dual> out = PlainNetwork<Dual>(graph, std::move(parameters), true).run(image, target);
    double sum = 0;
    for (size_t i = 0; i < out.values.size(); ++i)
      sum += out.values[i].slope * static_cast<double>(rand.values()[i]);
    return static_cast<float>(sum);
  };

  Weights file = {{"input", input},
                  {"rand", rand},
                  {"output", tensor_of_map(output, output_shape)},
                  {"output_eval", tensor_of_map(evaluated, output_shape)},
                  {"grad_input", Tensor(input.shape())}};
  for (size_t i = 0; i < input.values().size(); ++i)
    file.at("grad_input").values()[i] =
        derivative([&](Maps<Dual>&, Map<Dual>& image) -> Dual& { return image.values[i]; });

  std::vector<weights::RenameRule> rules;
  for (const weights::RenameRule& rule : line.rules) rules.push_back(testing::reversed(rule));
  const auto add = [&](const std::string& prefix, const Weights& ours) {
    for (auto& [name, tensor] : weights::rename(ours, rules)) file.emplace(prefix + name, tensor);
  };
  Weights parameters, gradients, before, after;
  for (const Parameter& parameter : graph.parameters) {
    const Tensor& tensor = weights.at(parameter.name);
    if (parameter.role == ParameterRole::kScalar) continue;
    if (parameter.role == ParameterRole::kCounter) {
      before.emplace(parameter.name, tensor_of<int64_t>({}, std::vector<int>{0}));
      after.emplace(parameter.name, tensor_of<int64_t>({}, std::vector<int>{1}));
    } else if (parameter.trainable()) {
      parameters.emplace(parameter.name, tensor);
      Tensor gradient(tensor.shape());
      for (size_t i = 0; i < gradient.values().size(); ++i)
        gradient.values()[i] = derivative(
            [&](Maps<Dual>& all, Map<Dual>&) -> Dual& { return all.at(parameter.name).values[i]; });
      gradients.emplace(parameter.name, std::move(gradient));
    } else {
      before.emplace(parameter.name, tensor);
      after.emplace(parameter.name, tensor_of_map(step.parameters().at(parameter.name), tensor.shape()));
    }
  }
  add("param.", parameters);
  add("grad.", gradients);
  add("buffer_before.", before);
  add("buffer_after.", after);
  write_tensors(folder / (block.name + ".safetensors"), file, block.arguments);
}

}  // namespace

void record_blocks(const fs::path& root) {
  for (const Block& block : kBlocks) record_block(root / "backbones" / "grads", block);
}

}  // namespace marrow::golden
