#include "marrow/weights/torch/pickle_json.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>

#include "marrow/base/error.h"

namespace marrow::weights {
namespace {

using Kind = PickleValue::Kind;
using OrderedJson = nlohmann::ordered_json;

constexpr int kMaxJsonDepth = 64;
constexpr size_t kMaxJsonValues = 200'000;
constexpr size_t kMaxJsonText = 16 << 20;  // bytes of all strings; each may be mentioned many times

// numpy.core.multiarray.scalar(dtype, bytes) of the common types.
std::optional<double> numpy_scalar(const PickleObject& object) {
  if (object.callee.name != "scalar" || !object.callee.module.starts_with("numpy")) return std::nullopt;
  const PickleValue::Items& args = object.arguments->items();
  if (args.size() != 2 || args[0]->object() == nullptr) return std::nullopt;
  const PickleValue::Items& type = args[0]->object()->arguments->items();
  if (type.empty()) return std::nullopt;
  const auto as = [&]<class T>(T) -> std::optional<double> {
    T value;
    if (args[1]->text().size() != sizeof(T)) return std::nullopt;
    std::memcpy(&value, args[1]->text().data(), sizeof(T));
    return static_cast<double>(value);
  };
  const std::string_view name = type[0]->text();
  if (name == "f8") return as(double{});
  if (name == "f4") return as(float{});
  if (name == "i8") return as(int64_t{});
  if (name == "i4") return as(int32_t{});
  return std::nullopt;
}

std::string dumped(const OrderedJson& value) {
  return value.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

class Converter {
 public:
  explicit Converter(const std::string& where) : where_(where) {}

  OrderedJson convert(const PickleValue& value, int depth) {
    if (depth > kMaxJsonDepth || ++values_ > kMaxJsonValues || text_ > kMaxJsonText)
      throw Error(ErrorKind::kFormat,
                  where_ + ": data nests too deep or is too large; does it contain itself?");
    switch (value.kind()) {
      case Kind::kBool:
        return value.as_bool();
      case Kind::kInt:
        return value.as_int();
      case Kind::kFloat:
        return number(value.as_number());
      case Kind::kString:
        return text(value.text());
      case Kind::kList:
      case Kind::kTuple:
      case Kind::kSet:
        return array(value.items(), depth);
      case Kind::kDict:
        return dict(value.items(), depth);
      case Kind::kObject:
        return object(*value.object(), depth);
      default:
        return nullptr;
    }
  }

 private:
  static OrderedJson number(double value) {
    return std::isfinite(value) ? OrderedJson(value) : OrderedJson(nullptr);
  }
  std::string text(std::string_view view) {
    text_ += view.size();
    return std::string(view);
  }

  OrderedJson array(const PickleValue::Items& items, int depth) {
    OrderedJson result = OrderedJson::array();
    for (const PickleValue* item : items) result.push_back(convert(*item, depth + 1));
    return result;
  }

  // nlohmann's ordered_json looks a key up by walking all earlier ones, so that a dict of many thousand keys
  // is refused.
  OrderedJson dict(const PickleValue::Items& items, int depth) {
    constexpr size_t kMaxKeys = 4'000;
    if (items.size() / 2 > kMaxKeys)
      throw Error(ErrorKind::kFormat, fmt::format("{}: a dict of {} keys", where_, items.size() / 2));
    OrderedJson result = OrderedJson::object();
    for (size_t i = 0; i + 1 < items.size(); i += 2) {
      const OrderedJson key = convert(*items[i], depth + 1);
      // A key in a key is quoted again at every level, and doubles.
      const std::string name = key.is_string() ? key.get<std::string>() : text(dumped(key));
      result[name] = convert(*items[i + 1], depth + 1);
    }
    return result;
  }

  OrderedJson object(const PickleObject& object, int depth) {
    if (const std::optional<double> scalar = numpy_scalar(object)) return number(*scalar);
    if (object.callee.module == "pathlib" && object.arguments != nullptr) {
      std::string path;
      for (const PickleValue* part : object.arguments->items()) {
        if (!path.empty() && !path.ends_with('/')) path += '/';
        path += text(part->text());
      }
      return path;
    }
    const std::string_view name = object.callee.name;
    const bool arguments = name.ends_with("Namespace") || name.ends_with("Dict") ||
                           name.ends_with("Config") || name.ends_with("CfgNode");
    if (!arguments) return nullptr;
    if (!object.items.empty()) return dict(object.items, depth);
    return object.state != nullptr && object.state->is_dict() ? dict(object.state->items(), depth) : nullptr;
  }

  const std::string& where_;
  size_t values_ = 0;
  size_t text_ = 0;
};

}  // namespace

std::string to_json(const PickleValue& value, const std::string& where) {
  return dumped(Converter(where).convert(value, 0));
}

}  // namespace marrow::weights
