#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/model/zoo.h"
#include "marrow/nn/backbones/backbone.h"

namespace marrow::model {
namespace {

constexpr std::array<double, 4> kStrides = {4, 8, 16, 32};

[[noreturn]] void fail(const ModelSpec& spec, int line, const std::string& message) {
  throw Error(ErrorKind::kModel, line > 0 ? fmt::format("{}:{}: {}", spec.file, line, message)
                                          : fmt::format("{}: {}", spec.file, message));
}

bool is_chain_link(const LayerSpec& line) {
  return line.from == std::vector{-1} && line.module != "SPPF" && line.module != "SPP";
}

// The numbers of the last lines at strides 4, 8, 16 and 32 of the part that goes.
std::array<int, 4> last_at_strides(const ModelSpec& spec) {
  // The strides of lines are known once they are built.
  const Model model = build_model(spec, {.classes = spec.classes.value_or(80)});
  std::array<int, 4> last = {-1, -1, -1, -1};
  for (size_t i = 0; i < spec.backbone.size() && is_chain_link(spec.backbone[i]); ++i) {
    const double stride = model.graph.node(model.layers[i].outputs.back()).stride;
    if (stride > kStrides.back()) break;
    for (size_t s = 0; s < kStrides.size(); ++s)
      if (stride == kStrides[s]) last[s] = static_cast<int>(i);
  }
  for (size_t s = 0; s < kStrides.size(); ++s)
    if (last[s] < 0)
      fail(spec, 0,
           fmt::format("the backbone cannot be replaced: before SPPF it has no layer of stride {}",
                       kStrides[s]));
  return last;
}

LayerSpec backbone_line(std::string_view name) {
  LayerSpec line;
  line.module = std::string(name);
  return line;
}

}  // namespace

ModelSpec replace_backbone(const ModelSpec& spec, std::string_view backbone) {
  nn::choose_backbone(backbone);  // its message for an unknown name is better than any here
  if (!spec.classifier.empty())
    fail(spec, 0,
         fmt::format("'{}' is a classifier by name; a YAML model is needed to replace its backbone",
                     printable(spec.classifier)));
  ModelSpec replaced = spec;
  const std::vector<std::string> known = nn::backbone_names();
  if (!spec.backbone.empty() && std::ranges::binary_search(known, spec.backbone.front().module)) {
    replaced.backbone.front() = backbone_line(backbone);
    return replaced;
  }

  const std::array<int, 4> last = last_at_strides(spec);
  const int removed = last.back() + 1;
  replaced.backbone.erase(replaced.backbone.begin(), replaced.backbone.begin() + removed);
  replaced.backbone.insert(replaced.backbone.begin(), backbone_line(backbone));

  int number = removed;  // of the line in the old numbering
  for (const auto& [first, lines] : {std::pair{size_t{1}, &replaced.backbone}, {size_t{0}, &replaced.head}})
    for (size_t i = first; i < lines->size(); ++i, ++number) {
      LayerSpec& line = (*lines)[i];
      for (int& from : line.from) {
        if (from == -1) continue;
        const int target = from < 0 ? number + from : from;
        if (target >= removed) {
          from = target - removed + 5;
          continue;
        }
        const auto map = std::ranges::find(last, target);
        if (map == last.end())
          fail(
              spec, line.line,
              fmt::format("layer {} ({}) reads layer {}, inside the backbone that is replaced; only the last "
                          "layers of strides 4, 8, 16 and 32 ({}, {}, {} and {}) have a counterpart",
                          number, printable(line.module), target, last[0], last[1], last[2], last[3]));
        from = 1 + static_cast<int>(map - last.begin());
      }
    }
  return replaced;
}

}  // namespace marrow::model
