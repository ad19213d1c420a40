// YAML from people and checkpoints, read within limits: the file may be hostile. A small tree of our own
// comes out, with the line of every value; yaml-cpp stays behind it.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace marrow {

// A model file has about 2 KB, 25 lines and depth 4.
inline constexpr size_t kMaxYamlBytes = 1 << 20;
inline constexpr size_t kMaxYamlValues = 50'000;  // with every alias written out
inline constexpr size_t kMaxYamlKeys = 10'000;    // of one mapping
inline constexpr int kMaxYamlDepth = 16;

struct YamlValue {
  enum class Kind { kNull, kScalar, kList, kMap };

  Kind kind = Kind::kNull;
  int line = 0;                   // from 1
  std::string text;               // of a scalar
  bool quoted = false;            // of a scalar
  std::vector<YamlValue> items;   // of a list; of a map, the values
  std::vector<std::string> keys;  // of a map, as many as items
  std::vector<int> key_lines;

  bool is_list() const { return kind == Kind::kList; }
  bool is_map() const { return kind == Kind::kMap; }
  const YamlValue* find(std::string_view key) const;  // of a map; nullptr when it is not there
};

// The first document of `text`. Throws Error{kFormat} "file:line: ..." when it is longer or deeper than the
// limits, is no text, or no YAML, or a map holds a key twice.
YamlValue parse_yaml(std::string_view text, const std::string& file);

// The value as model files mean it: null and None, booleans in YAML's and Python's spelling, numbers, lists,
// maps; anything else is a string. A quoted number is a number too (YOLOv8 evaluates strings as Python
// literals).
nlohmann::json to_json(const YamlValue& value);

// For messages: what was found, cut to a readable length.
std::string describe(const YamlValue& value);

}  // namespace marrow
