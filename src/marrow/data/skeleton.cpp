#include "marrow/data/skeleton.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/data/formats/label_words.h"
#include "marrow/data/yaml_number.h"

namespace marrow::data {
namespace {

class SkeletonReader {
 public:
  SkeletonReader(const YamlValue& yaml, const std::string& name) : yaml_(yaml), name_(name) {}

  Skeleton read() {
    const YamlValue* shape = find("kpt_shape");
    if (shape == nullptr) return {};
    if (!shape->is_list() || shape->items.size() != 2)
      fail(*shape, fmt::format("kpt_shape: {}, expected [number of keypoints, 2 or 3]", describe(*shape)));
    Skeleton skeleton;
    skeleton.shape = {number(shape->items[0], "kpt_shape", 1, kMostKeypoints),
                      number(shape->items[1], "kpt_shape", 2, 3)};
    count_ = static_cast<size_t>(skeleton.shape.count);
    if (const YamlValue* indices = one_each("flip_idx"))
      for (const YamlValue& item : indices->items)
        skeleton.flip_idx.push_back(number(item, "flip_idx", 0, skeleton.shape.count - 1));
    if (const YamlValue* sigmas = one_each("kpt_oks_sigmas"))
      for (const YamlValue& item : sigmas->items) skeleton.sigmas.push_back(positive_number(item));
    if (const YamlValue* names = find("kpt_names")) skeleton.names = names_of(*names);
    return skeleton;
  }

 private:
  [[noreturn]] void fail(const YamlValue& at, const std::string& message) const {
    throw Error(ErrorKind::kFormat, fmt::format("{}:{}: {}", name_, at.line, message));
  }

  const YamlValue* find(const char* key) const {
    const YamlValue* value = yaml_.find(key);
    return value != nullptr && value->kind != YamlValue::Kind::kNull ? value : nullptr;
  }

  const YamlValue& require_one_each(const YamlValue& value, const char* key) const {
    if (!value.is_list() || value.items.size() != count_)
      fail(value,
           fmt::format("{}: {}, expected a list of {}, one for each keypoint of kpt_shape", key,
                       value.is_list() ? fmt::format("a list of {}", value.items.size()) : describe(value),
                       count_));
    return value;
  }
  const YamlValue* one_each(const char* key) const {
    const YamlValue* value = find(key);
    return value != nullptr ? &require_one_each(*value, key) : nullptr;
  }

  int number(const YamlValue& value, const char* key, int smallest, int largest) const {
    return static_cast<int>(whole_number(value, key, smallest, largest, name_));
  }

  double positive_number(const YamlValue& value) const {
    const std::optional<double> result = finite_number(value.text);
    if (!result || *result <= 0)
      fail(value, fmt::format("kpt_oks_sigmas: {}, expected a positive number", describe(value)));
    return *result;
  }

  std::vector<std::string> names_of_class(const YamlValue& value) const {
    std::vector<std::string> names;
    for (const YamlValue& item : require_one_each(value, "kpt_names").items) {
      if (item.kind != YamlValue::Kind::kScalar)
        fail(item, fmt::format("kpt_names: {}, expected a name", describe(item)));
      names.push_back(item.text);
    }
    return names;
  }

  // A mapping from numbers of classes, or one list for the first.
  std::vector<std::vector<std::string>> names_of(const YamlValue& value) const {
    if (!value.is_map()) return {names_of_class(value)};
    constexpr int kMostClasses = 100'000;
    std::vector<std::vector<std::string>> names;
    for (size_t i = 0; i < value.items.size(); ++i) {
      int number = -1;
      const std::string& key = value.keys[i];
      const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), number);
      if (error != std::errc() || end != key.data() + key.size() || number < 0 || number >= kMostClasses)
        throw Error(ErrorKind::kFormat, fmt::format("{}:{}: kpt_names: key '{}', expected a class's number",
                                                    name_, value.key_lines[i], printable(key, 40)));
      names.resize(std::max(names.size(), static_cast<size_t>(number) + 1));
      names[static_cast<size_t>(number)] = names_of_class(value.items[i]);
    }
    return names;
  }

  const YamlValue& yaml_;
  const std::string& name_;
  size_t count_ = 0;
};

// A word in a YAML list; quoted, whatever it is.
std::string quoted_word(const std::string& word) {
  std::string result = "\"";
  for (const char c : word) {
    if (c == '"' || c == '\\') result += '\\';
    result += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return result + '"';
}

// "left_eye" for "right_eye" and the reverse; the name itself where it has no side.
std::string other_side(const std::string& name) {
  for (const auto& [side, other] : {std::pair<std::string_view, std::string_view>{"left", "right"},
                                    {"right", "left"},
                                    {"Left", "Right"},
                                    {"Right", "Left"}})
    if (const size_t at = name.find(side); at != std::string::npos)
      return std::string(name).replace(at, side.size(), other);
  return name;
}

// Empty where nothing has a side, or its other side is missing.
std::vector<int> mirrored(const std::vector<std::string>& names) {
  std::vector<int> indices;
  bool any = false;
  for (const std::string& name : names) {
    const auto found = std::ranges::find(names, other_side(name));
    if (found == names.end()) return {};
    indices.push_back(static_cast<int>(found - names.begin()));
    any |= *found != name;
  }
  return any ? indices : std::vector<int>();
}

}  // namespace

Skeleton skeleton_of_names(const std::vector<std::string>& classes,
                           const std::map<std::string, std::vector<std::string>>& keypoints) {
  Skeleton skeleton;
  for (const std::string& name : classes) {
    const auto found = keypoints.find(name);
    skeleton.names.emplace_back();
    if (found == keypoints.end()) continue;
    const auto count = static_cast<int>(std::min<size_t>(found->second.size(), kMostKeypoints));
    if (skeleton.shape.count == 0) {
      skeleton.shape = {count, 3};
      skeleton.flip_idx = mirrored(found->second);
    }
    if (skeleton.shape.count == count) skeleton.names.back() = found->second;
  }
  return skeleton;
}

Skeleton read_skeleton(const YamlValue& yaml, const std::string& name) {
  return SkeletonReader(yaml, name).read();
}

std::string skeleton_yaml(const Skeleton& skeleton) {
  if (skeleton.shape.count == 0) return {};
  std::string yaml = fmt::format("kpt_shape: [{}, {}]\n", skeleton.shape.count, skeleton.shape.dimensions);
  if (!skeleton.flip_idx.empty()) yaml += fmt::format("flip_idx: [{}]\n", fmt::join(skeleton.flip_idx, ", "));
  if (!skeleton.sigmas.empty())
    yaml += fmt::format("kpt_oks_sigmas: [{}]\n", fmt::join(skeleton.sigmas, ", "));
  std::string names;
  for (size_t i = 0; i < skeleton.names.size(); ++i) {
    if (skeleton.names[i].empty()) continue;
    std::vector<std::string> words;
    for (const std::string& name : skeleton.names[i]) words.push_back(quoted_word(name));
    names += fmt::format("  {}: [{}]\n", i, join(words, ", "));
  }
  return names.empty() ? yaml : yaml + "kpt_names:\n" + names;
}

}  // namespace marrow::data
