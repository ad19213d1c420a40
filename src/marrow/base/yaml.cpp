#include "marrow/base/yaml.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "marrow/base/error.h"
#include "marrow/base/text.h"

namespace marrow {
namespace {

[[noreturn]] void fail(const std::string& file, int line, const std::string& message) {
  const Place place = {.file = file, .line = line};
  throw Error(ErrorKind::kFormat, fmt::format("{}: {}", to_string(place), message), place);
}

class Converter {
 public:
  explicit Converter(const std::string& file) : file_(file) {}

  YamlValue convert(const YAML::Node& node, int depth) {
    YamlValue value;
    value.line = node.Mark().line + 1;
    if (depth > kMaxYamlDepth)
      fail(file_, value.line, fmt::format("values are nested deeper than {}", kMaxYamlDepth));
    if (++values_ > kMaxYamlValues)
      fail(file_, value.line, fmt::format("more than {} values, aliases written out", kMaxYamlValues));
    switch (node.Type()) {
      case YAML::NodeType::Scalar:
        value.kind = YamlValue::Kind::kScalar;
        value.text = node.Scalar();
        value.quoted = node.Tag() == "!";
        break;
      case YAML::NodeType::Sequence:
        value.kind = YamlValue::Kind::kList;
        for (const YAML::Node& item : node) value.items.push_back(convert(item, depth + 1));
        break;
      case YAML::NodeType::Map:
        value.kind = YamlValue::Kind::kMap;
        for (const auto& entry : node) add_entry(value, entry.first, entry.second, depth);
        break;
      default:
        break;
    }
    return value;
  }

 private:
  void add_entry(YamlValue& map, const YAML::Node& key, const YAML::Node& item, int depth) {
    const int line = key.Mark().line + 1;
    if (!key.IsScalar()) fail(file_, line, "a key is not a word");
    if (map.keys.size() == kMaxYamlKeys) fail(file_, line, fmt::format("more than {} keys", kMaxYamlKeys));
    if (map.find(key.Scalar()) != nullptr)
      fail(file_, line, fmt::format("key '{}' is there twice", printable(key.Scalar())));
    map.keys.push_back(key.Scalar());
    map.key_lines.push_back(line);
    map.items.push_back(convert(item, depth + 1));
  }

  const std::string& file_;
  size_t values_ = 0;
};

bool one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::ranges::find(words, text) != words.end();
}

std::optional<nlohmann::json> number(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  const char* end = text.data() + text.size();
  int64_t whole = 0;
  if (const auto [at, error] = std::from_chars(text.data(), end, whole); error == std::errc() && at == end)
    return whole;
  double real = 0;
  if (const auto [at, error] = std::from_chars(text.data(), end, real);
      error == std::errc() && at == end && std::isfinite(real))
    return real;
  return std::nullopt;
}

nlohmann::json scalar(const YamlValue& value) {
  const std::string& text = value.text;
  if (text == "None") return nullptr;
  if (text == "True") return true;
  if (text == "False") return false;
  if (!value.quoted) {
    if (one_of(text, {"", "~", "null", "Null", "NULL"})) return nullptr;
    if (one_of(text, {"true", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"})) return true;
    if (one_of(text, {"false", "FALSE", "no", "No", "NO", "off", "Off", "OFF"})) return false;
  }
  if (auto parsed = number(text)) return *parsed;
  return text;
}

}  // namespace

const YamlValue* YamlValue::find(std::string_view key) const {
  const auto found = std::ranges::find(keys, key);
  return found == keys.end() ? nullptr : &items[static_cast<size_t>(found - keys.begin())];
}

YamlValue parse_yaml(std::string_view text, const std::string& file) {
  if (text.size() > kMaxYamlBytes)
    fail(file, 0, fmt::format("{} bytes; a YAML file has at most {}", text.size(), kMaxYamlBytes));
  const auto control = [](char c) {
    return static_cast<unsigned char>(c) < ' ' && c != '\n' && c != '\r' && c != '\t';
  };
  if (const auto found = std::ranges::find_if(text, control); found != text.end())
    fail(file, static_cast<int>(std::count(text.begin(), found, '\n')) + 1,
         "this is not a text file (it holds control characters)");
  try {
    return Converter(file).convert(YAML::Load(std::string(text)), 0);
  } catch (const YAML::Exception& error) {
    fail(file, error.mark.is_null() ? 0 : error.mark.line + 1, "not valid YAML: " + error.msg);
  }
}

nlohmann::json to_json(const YamlValue& value) {
  switch (value.kind) {
    case YamlValue::Kind::kNull:
      return nullptr;
    case YamlValue::Kind::kScalar:
      return scalar(value);
    case YamlValue::Kind::kList: {
      nlohmann::json list = nlohmann::json::array();
      for (const YamlValue& item : value.items) list.push_back(to_json(item));
      return list;
    }
    case YamlValue::Kind::kMap: {
      nlohmann::json map = nlohmann::json::object();
      for (size_t i = 0; i < value.items.size(); ++i) map[value.keys[i]] = to_json(value.items[i]);
      return map;
    }
  }
  return nullptr;
}

std::string describe(const YamlValue& value) {
  switch (value.kind) {
    case YamlValue::Kind::kNull:
      return "nothing";
    case YamlValue::Kind::kScalar:
      return fmt::format("'{}'", printable(value.text));
    case YamlValue::Kind::kList:
      return fmt::format("a list of {}", value.items.size());
    case YamlValue::Kind::kMap:
      return "a mapping";
  }
  return {};
}

}  // namespace marrow
