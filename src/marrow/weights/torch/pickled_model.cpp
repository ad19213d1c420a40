#include "marrow/weights/torch/pickled_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/weights/checkpoint_names.h"
#include "marrow/weights/torch/pickle_json.h"

namespace marrow::weights {
namespace {

using Kind = PickleValue::Kind;

constexpr int kMaxModuleDepth = 100;
// Containers may be shared, so that a small file can describe a huge walk. Real numbers are far below these:
// about 1500 modules in EfficientNet-B7, 40 attributes each.
constexpr size_t kMaxModules = 20'000;
constexpr size_t kMaxEntries = 200'000;  // parameters, buffers and children together
constexpr size_t kMaxAttributes = 1000;
constexpr size_t kMaxTransient = 100;
constexpr size_t kMaxNames = 100'000;

// A dict attribute of a module, as key, value, ...; empty when absent. Old pickles and ours agree on these
// names.
const PickleValue::Items& entries(const PickleObject& module, std::string_view name) {
  static const PickleValue::Items none;
  const PickleValue* value = module.attribute(name);
  return value != nullptr && value->is_dict() ? value->items() : none;
}

class ModuleWalk {
 public:
  ModuleWalk(PickledTensorReader& tensors, const std::string& where, PickledModel& model)
      : tensors_(tensors), where_(where), model_(model) {}

  void visit(const PickleValue& value, const std::string& prefix) {
    const PickleObject& module = *value.object();
    if (std::ranges::find(path_, &module) != path_.end())
      throw Error(ErrorKind::kFormat,
                  fmt::format("{}: the module '{}' contains itself", where_, printable(prefix)));
    const bool attributes_bounded = module.state != nullptr && module.state->is_dict() &&
                                    module.state->items().size() / 2 <= kMaxAttributes;
    if (path_.size() >= kMaxModuleDepth || ++modules_ > kMaxModules || !attributes_bounded) too_large(prefix);
    path_.push_back(&module);
    read_batch_norm(module, prefix);
    read_activation(module, prefix);
    read_block(module, prefix);
    read_tensors(module, "_parameters", prefix);
    read_tensors(module, "_buffers", prefix);
    const PickleValue::Items& children = entries(module, "_modules");
    count_entries(children, prefix);
    for (size_t i = 0; i + 1 < children.size(); i += 2)
      if (is_pickled_module(*children[i + 1])) visit(*children[i + 1], full_name(prefix, *children[i]));
    path_.pop_back();
  }

 private:
  [[noreturn]] void too_large(const std::string& prefix) const {
    throw Error(ErrorKind::kFormat,
                fmt::format("{}: modules nest too deep or are too many, at '{}'", where_, printable(prefix)));
  }
  void count_entries(const PickleValue::Items& pairs, const std::string& prefix) {
    entries_ += pairs.size() / 2;
    if (entries_ > kMaxEntries) too_large(prefix);
  }

  std::string full_name(const std::string& prefix, const PickleValue& name) const {
    if (!name.is_string()) throw Error(ErrorKind::kFormat, where_ + ": a module or tensor has no name");
    return checked_name(prefix.empty() ? std::string(name.text()) : fmt::format("{}.{}", prefix, name.text()),
                        where_);
  }

  void read_tensors(const PickleObject& module, std::string_view attribute, const std::string& prefix) {
    const PickleValue* transient = module.attribute("_non_persistent_buffers_set");
    if (transient != nullptr && transient->items().size() > kMaxTransient) too_large(prefix);
    const PickleValue::Items& named = entries(module, attribute);
    count_entries(named, prefix);
    for (size_t i = 0; i + 1 < named.size(); i += 2) {
      if (named[i + 1]->is_none()) continue;
      const auto same = [&](const PickleValue* other) { return other->text() == named[i]->text(); };
      if (transient != nullptr && std::ranges::any_of(transient->items(), same)) continue;
      const std::string name = full_name(prefix, *named[i]);
      if (model_.state.insert_or_assign(name, tensors_.read(*named[i + 1], name)).second)
        model_.order.push_back(name);
    }
  }

  void read_batch_norm(const PickleObject& module, const std::string& prefix) {
    if (module.callee.name.find("BatchNorm") == std::string_view::npos) return;
    const PickleValue* eps = module.attribute("eps");
    const PickleValue* momentum = module.attribute("momentum");
    if (eps == nullptr || !eps->is_number()) return;
    BatchNormSettings settings{eps->as_number(), BatchNormSettings().momentum};
    if (momentum != nullptr && momentum->is_number()) settings.momentum = momentum->as_number();
    model_.attributes.batch_norms.insert_or_assign(prefix, settings);
  }

  // Of a convolution and what belongs to it: the modules `conv` and `act`.
  void read_activation(const PickleObject& module, const std::string& prefix) {
    const PickleValue* children = module.attribute("_modules");
    const PickleValue* act = children != nullptr ? children->find("act") : nullptr;
    if (act == nullptr || !is_pickled_module(*act) || children->find("conv") == nullptr) return;
    model_.attributes.activations.insert_or_assign(prefix, activation_text(*act->object()));
  }

  // As torch prints it.
  static std::string activation_text(const PickleObject& object) {
    std::string text = printable(object.callee.name) + "(";
    for (const char* parameter : {"negative_slope", "alpha"})
      if (const PickleValue* value = object.attribute(parameter); value != nullptr && value->is_number())
        text += fmt::format("{}={}", parameter, value->as_number());
    const PickleValue* approximate = object.attribute("approximate");  // of GELU
    if (approximate != nullptr && approximate->text() != "none")
      text += fmt::format("approximate={}", printable(approximate->text()));
    return text + ")";
  }

  void read_block(const PickleObject& module, const std::string& prefix) {
    if (const PickleValue* add = module.attribute("add");
        add != nullptr && add->is(Kind::kBool) &&
        (module.callee.name == "Bottleneck" || module.callee.name == "SPPF" || module.callee.name == "CIB"))
      model_.attributes.shortcuts.insert_or_assign(prefix, add->as_bool());
    if (const PickleValue* n = module.attribute("n");
        n != nullptr && n->is(Kind::kInt) && module.callee.name == "SPPF")
      model_.attributes.pools.insert_or_assign(prefix, n->as_int());
    const bool inside_unit = prefix.ends_with(".act") &&
                             model_.attributes.activations.contains(prefix.substr(0, prefix.size() - 4));
    if (module.callee.module == "torch.nn.modules.activation" && !inside_unit)
      model_.attributes.other_activations.insert_or_assign(prefix, activation_text(module));
  }

  PickledTensorReader& tensors_;
  const std::string& where_;
  PickledModel& model_;
  std::vector<const PickleObject*> path_;
  size_t modules_ = 0;
  size_t entries_ = 0;
};

// {0: "person", ...} or ["person", ...].
std::map<int64_t, std::string> read_names(const PickleValue& value, const std::string& where) {
  std::map<int64_t, std::string> names;
  const PickleValue::Items& items = value.items();
  if (items.size() / 2 > kMaxNames) throw Error(ErrorKind::kFormat, where + ": too many class names");
  if (value.is_sequence())
    for (size_t i = 0; i < items.size(); ++i) names[static_cast<int64_t>(i)] = display_text(items[i]->text());
  if (value.is_dict())
    for (size_t i = 0; i + 1 < items.size(); i += 2)
      if (items[i]->is(Kind::kInt)) names[items[i]->as_int()] = display_text(items[i + 1]->text());
  return names;
}

std::string task_of_class(std::string_view class_name) {
  if (class_name == "DetectionModel") return "detect";
  if (class_name == "SegmentationModel") return "segment";
  if (class_name == "PoseModel") return "pose";
  if (class_name == "OBBModel") return "obb";
  if (class_name == "ClassificationModel") return "classify";
  return {};
}

// An entry of `args`, which is a dict or a namespace.
const PickleValue* argument(const PickleObject& module, std::string_view name) {
  const PickleValue* args = module.attribute("args");
  if (args == nullptr) return nullptr;
  return args->object() != nullptr ? args->object()->attribute(name) : args->find(name);
}

// Said by the model, else by its description, else by its names.
std::optional<int64_t> class_count(const PickleObject& module, const std::map<int64_t, std::string>& names) {
  const PickleValue* yaml = module.attribute("yaml");
  for (const PickleValue* nc : {module.attribute("nc"), yaml != nullptr ? yaml->find("nc") : nullptr})
    if (nc != nullptr && nc->is(Kind::kInt)) return nc->as_int();
  if (names.empty()) return std::nullopt;
  return static_cast<int64_t>(names.size());
}

void read_attributes(const PickleObject& module, PickledTensorReader& tensors, const std::string& where,
                     ModelAttributes& attributes) {
  attributes.class_name = printable(module.callee.name);
  if (const PickleValue* yaml = module.attribute("yaml"); yaml != nullptr && yaml->is_dict())
    attributes.yaml = to_json(*yaml, where + ": yaml");
  if (const PickleValue* names = module.attribute("names")) attributes.names = read_names(*names, where);
  attributes.nc = class_count(module, attributes.names);
  if (const PickleValue* stride = module.attribute("stride")) {
    if (PickledTensorReader::is_tensor(*stride)) {
      const Tensor values = tensors.read(*stride, "stride").to_float();
      attributes.stride.assign(values.values().begin(), values.values().end());
    }
    for (const PickleValue* item : stride->items()) attributes.stride.push_back(item->as_number());
  }
  const PickleValue* task = module.attribute("task");
  if (task == nullptr) task = argument(module, "task");
  attributes.task =
      task != nullptr && task->is_string() ? printable(task->text()) : task_of_class(module.callee.name);
  if (const PickleValue* imgsz = argument(module, "imgsz")) {
    if (imgsz->is(Kind::kInt)) attributes.imgsz.push_back(imgsz->as_int());
    if (imgsz->is_sequence())
      for (const PickleValue* side : imgsz->items()) attributes.imgsz.push_back(side->as_int());
  }
}

// DataParallel and DistributedDataParallel hold the network as their only child, `module`.
const PickleValue& without_wrapper(const PickleValue& module) {
  if (!module.object()->callee.name.ends_with("DataParallel")) return module;
  const PickleValue* child = module.object()->attribute("_modules")->find("module");
  return child != nullptr && is_pickled_module(*child) ? *child : module;
}

}  // namespace

bool is_pickled_module(const PickleValue& value) {
  const PickleObject* object = value.object();
  return object != nullptr && object->attribute("_modules") != nullptr &&
         object->attribute("_parameters") != nullptr;
}

PickledModel read_pickled_model(const PickleValue& module, PickledTensorReader& tensors,
                                const std::string& where) {
  PickledModel model;
  const PickleValue& network = without_wrapper(module);
  ModuleWalk(tensors, where, model).visit(network, "");
  read_attributes(*network.object(), tensors, where, model.attributes);
  return model;
}

}  // namespace marrow::weights
