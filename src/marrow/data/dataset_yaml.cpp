// The dataset YAML.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <map>
#include <optional>

#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/base/yaml.h"
#include "marrow/data/foreign_paths.h"
#include "marrow/data/formats/dataset_readers.h"
#include "marrow/data/shards/shard_files.h"
#include "marrow/data/yaml_number.h"

namespace marrow::data {
namespace {

namespace fs = std::filesystem;

class DatasetParser {
 public:
  explicit DatasetParser(const fs::path& file) : file_(file), name_(shown(file)) {}

  Dataset parse(std::string_view text, std::vector<std::string> names) {
    const YamlValue yaml = parse_yaml(text, name_);
    if (!yaml.is_map())
      throw Error(
          ErrorKind::kFormat,
          fmt::format("{}: {}, where a mapping with train, val and names is wanted", name_, describe(yaml)));
    dataset_.file = file_;
    dataset_.root = root_of(yaml);
    read_splits(yaml);
    choose_format(yaml);
    dataset_.names = std::move(names);
    if (dataset_.names.empty()) read_names(yaml);
    read_samples(yaml);
    if (const YamlValue* download = yaml.find("download"); download != nullptr && !download->text.empty())
      dataset_.notes.push_back(fmt::format(
          "{}:{}: download: nothing is downloaded or run; fetch the dataset yourself if it is not there",
          name_, download->line));
    dataset_.skeleton = read_skeleton(yaml, name_);
    return std::move(dataset_);
  }

 private:
  [[noreturn]] void fail(const YamlValue& at, const std::string& message) const {
    throw Error(ErrorKind::kFormat, fmt::format("{}:{}: {}", name_, at.line, message));
  }

  int64_t number(const YamlValue& value, std::string_view key, int64_t smallest, int64_t largest) const {
    return whole_number(value, key, smallest, largest, name_);
  }

  std::string text_of(const YamlValue& value, std::string_view key) const {
    if (value.kind != YamlValue::Kind::kScalar || value.text.empty())
      fail(value, fmt::format("{}: {}, expected a path", key, describe(value)));
    return value.text;
  }

  static const YamlValue* first_of(const YamlValue& yaml, std::initializer_list<const char*> keys) {
    for (const char* key : keys)
      if (const YamlValue* value = yaml.find(key); value != nullptr && value->kind != YamlValue::Kind::kNull)
        return value;
    return nullptr;
  }

  // The first path of a split, to tell a root from a folder that merely exists.
  std::string sample_of(const YamlValue& yaml) const {
    const YamlValue* value = first_of(yaml, {"train", "val", "validation", "test"});
    while (value != nullptr && !value->items.empty()) {
      const YamlValue* annotations = value->is_map() ? value->find("annotations") : nullptr;
      value = annotations != nullptr ? annotations : &value->items[0];
    }
    if (value == nullptr) return "";
    return is_shard(value->text) ? shards_of(*value).front() : value->text;
  }

  std::vector<std::string> shards_of(const YamlValue& pattern) const {
    try {
      return expand_braces(pattern.text);
    } catch (const Error& error) {
      fail(pattern, error.what());
    }
  }

  // Relative roots are tried from the working folder (as the reference implementation does), the file's
  // folder and the folder of all datasets.
  fs::path root_of(const YamlValue& yaml) const {
    const fs::path beside = file_.parent_path();
    const YamlValue* value = first_of(yaml, {"path"});
    if (value == nullptr) return beside;
    const fs::path path = text_of(*value, "path");
    if (path.is_absolute()) return path.lexically_normal();
    const char* datasets = std::getenv("MARROW_DATASETS");
    std::error_code ignored;
    const fs::path candidates[] = {
        fs::current_path(ignored) / path, beside / path,
        fs::absolute(datasets != nullptr && *datasets != '\0' ? datasets : "datasets") / path};
    const std::string sample = sample_of(yaml);
    for (const fs::path& root : candidates)
      if (fs::is_directory(root, ignored) && fs::exists(resolve(root, sample), ignored))
        return root.lexically_normal();
    for (const fs::path& root : candidates)
      if (fs::is_directory(root, ignored)) return root.lexically_normal();
    return candidates[1].lexically_normal();  // what is missing will be named below it
  }

  // Some exports are written as if the YAML lay one folder deeper.
  static fs::path resolve(const fs::path& root, const std::string& entry) {
    const fs::path path = (root / entry).lexically_normal();
    std::error_code ignored;
    if (entry.starts_with("../") && !fs::exists(path, ignored)) {
      const fs::path inside = (root / entry.substr(3)).lexically_normal();
      if (fs::exists(inside, ignored)) return inside;
    }
    return path;
  }

  // What a path in the file means, which may have been written on another machine.
  fs::path found(const YamlValue& value, std::string_view key) {
    const std::string entry = text_of(value, key);
    const fs::path path = resolve(dataset_.root, entry);
    std::error_code ignored;
    if (fs::exists(path, ignored)) return path;
    for (const fs::path& folder : {dataset_.root, file_.parent_path()})
      if (const auto end = end_below(folder, entry)) {
        dataset_.notes.push_back(fmt::format("{}:{}: {}: {} is not there; {} is read instead", name_,
                                             value.line, key, printable(entry), shown(*end)));
        return end->lexically_normal();
      }
    return path;
  }

  void add_sources(const YamlValue& value, const std::string& key, const fs::path& images, Split& split) {
    if (value.is_list()) {
      for (const YamlValue& item : value.items) add_sources(item, key, images, split);
    } else if (value.is_map()) {
      for (size_t i = 0; i < value.keys.size(); ++i)
        if (value.keys[i] != "annotations" && value.keys[i] != "images")
          fail(value, unknown_name_message("key of " + key, value.keys[i],
                                           std::array<std::string, 2>{"annotations", "images"}));
      const YamlValue* annotations = value.find("annotations");
      if (annotations == nullptr) fail(value, fmt::format("{}: annotations is missing", key));
      const YamlValue* folder = value.find("images");
      if (annotations->is_map())
        fail(*annotations, fmt::format("{}: annotations: a mapping, expected a path", key));
      add_sources(*annotations, key, folder != nullptr ? found(*folder, "images") : images, split);
    } else if (is_shard(text_of(value, key))) {
      for (std::string& name : shards_of(value)) {
        YamlValue shard = value;
        shard.text = std::move(name);
        split.sources.push_back({found(shard, key), images});
      }
    } else {
      split.sources.push_back({found(value, key), images});
    }
  }

  void read_splits(const YamlValue& yaml) {
    fs::path images;
    if (const YamlValue* folder = first_of(yaml, {"images"})) images = found(*folder, "images");
    if (const YamlValue* folder = first_of(yaml, {"annotations"}))
      dataset_.voc_annotations = found(*folder, "annotations");
    struct SplitKeys {
      const char* name;
      std::initializer_list<const char*> aliases;
    };
    const SplitKeys keys[] = {{"train", {"train"}}, {"val", {"val", "validation"}}, {"test", {"test"}}};
    for (const auto& [name, aliases] : keys) {
      const YamlValue* value = first_of(yaml, aliases);
      if (value == nullptr) {
        // A dataset that is not divided yet has one split; who needs the other says so.
        if (std::string_view(name) == "train" ||
            (std::string_view(name) == "val" && seems_meant(yaml, "val")))
          missing(yaml, name);
        continue;
      }
      Split split{name, {}};
      add_sources(*value, name, images, split);
      if (split.sources.empty()) fail(*value, fmt::format("{}: an empty list", name));
      const auto shards = std::ranges::count_if(split.sources, is_shard, &SplitSource::path);
      if (shards != 0 && shards != static_cast<std::ptrdiff_t>(split.sources.size()))
        fail(*value, fmt::format("{}: shards (.tar) and others in one split", name));
      dataset_.splits.push_back(std::move(split));
    }
  }

  // What images are read as.
  void read_samples(const YamlValue& yaml) {
    SampleFormat& samples = dataset_.reading.samples;
    if (const YamlValue* channels = yaml.find("channels"))
      samples.channels = static_cast<int>(number(*channels, "channels", 1, kMaxSampleChannels));
    if (const YamlValue* bits = yaml.find("bits")) {
      samples.bits = static_cast<int>(number(*bits, "bits", 8, 16));
      if (samples.bits != 8 && samples.bits != 16)
        fail(*bits, fmt::format("bits: {}, expected 8 or 16", samples.bits));
    }
    const YamlValue* range = yaml.find("range");
    if (range == nullptr) return;
    if (samples.bits != 16) fail(*range, "range: is of images with 'bits: 16'");
    if (!range->is_list() || range->items.size() != 2)
      fail(*range, fmt::format("range: {}, expected [least, largest] sample", describe(*range)));
    const auto low = static_cast<int>(number(range->items[0], "range", 0, kMaxSample16 - 1));
    dataset_.reading.range = {low, static_cast<int>(number(range->items[1], "range", low + 1, kMaxSample16))};
  }

  // Whether the key is there, empty, or misspelled.
  static bool seems_meant(const YamlValue& yaml, const std::string& key) {
    return yaml.find(key) != nullptr || !nearest_name(key, yaml.keys).empty();
  }

  [[noreturn]] void missing(const YamlValue& yaml, const std::string& key) const {
    for (size_t i = 0; i < yaml.keys.size(); ++i)
      if (yaml.keys[i] == key)  // a null, or it would have been taken
        throw Error(ErrorKind::kFormat,
                    fmt::format("{}:{}: {} is empty; {}", name_, yaml.key_lines[i], key,
                                key == "names" ? "a list of the classes is wanted"
                                               : "a folder or a list of images is wanted"));
    const std::string near = nearest_name(key, yaml.keys);
    throw Error(
        ErrorKind::kFormat,
        fmt::format("{}: the key '{}' is missing; a dataset has train, val and names{}", name_, key,
                    near.empty() ? "" : fmt::format(". Is '{}' a misspelling of it?", printable(near, 40))));
  }

  void choose_format(const YamlValue& yaml) {
    bool json = false, voc = false, other = false;
    for (const Split& split : dataset_.splits)
      for (const SplitSource& source : split.sources) {
        if (is_sharded(split)) continue;
        std::error_code ignored;
        const bool is_json = to_lower(source.path.extension().string()) == ".json";
        const bool is_voc = fs::is_directory(source.path / "Annotations", ignored);
        json |= is_json;
        voc |= is_voc;
        other |= !is_json && !is_voc;
      }
    if (const YamlValue* value = first_of(yaml, {"format"})) {
      static const std::map<std::string, DatasetFormat> formats = {{"yolo", DatasetFormat::kYolo},
                                                                   {"coco", DatasetFormat::kCoco},
                                                                   {"voc", DatasetFormat::kVoc},
                                                                   {"folders", DatasetFormat::kFolders},
                                                                   {"dota", DatasetFormat::kDota}};
      const auto found = formats.find(value->text);
      if (found == formats.end())
        fail(*value,
             unknown_name_message("format", value->text,
                                  std::array<std::string, 5>{"yolo", "coco", "voc", "folders", "dota"}));
      dataset_.format = found->second;
      return;
    }
    if (json + voc + other > 1)
      throw Error(
          ErrorKind::kFormat,
          fmt::format("{}: the splits mix formats ({}); convert one with 'marrow data convert'", name_,
                      json && voc ? "COCO and VOC"
                      : json      ? "COCO and YOLO"
                                  : "VOC and YOLO"));
    dataset_.format = json ? DatasetFormat::kCoco : voc ? DatasetFormat::kVoc : DatasetFormat::kYolo;
  }

  void read_names(const YamlValue& yaml) {
    const YamlValue* names = first_of(yaml, {"names"});
    const YamlValue* count = first_of(yaml, {"nc"});
    const int64_t nc = count != nullptr ? number(*count, "nc", 1, kMaxClasses) : -1;
    if (names == nullptr) {
      if (nc < 0 && dataset_.format == DatasetFormat::kYolo) missing(yaml, "names");
      for (int64_t i = 0; i < nc; ++i) dataset_.names.push_back(fmt::format("class_{}", i));
      return;
    }
    if (names->kind == YamlValue::Kind::kScalar || names->items.empty())
      fail(*names, fmt::format("names: {}, expected a list or a mapping from numbers", describe(*names)));
    dataset_.names.resize(names->items.size());
    std::vector<bool> given(names->items.size());
    for (size_t i = 0; i < names->items.size(); ++i) {
      const YamlValue& item = names->items[i];
      size_t place = i;
      if (names->is_map()) {
        const std::string& key = names->keys[i];
        const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), place);
        if (error != std::errc() || end != key.data() + key.size() || place >= given.size())
          throw Error(ErrorKind::kFormat,
                      fmt::format("{}:{}: names: key '{}', but the keys of {} names are 0..{}", name_,
                                  names->key_lines[i], printable(key, 40), given.size(), given.size() - 1));
      }
      if (item.kind != YamlValue::Kind::kScalar || item.text.empty())
        fail(item, fmt::format("names: {}, expected a name", describe(item)));
      if (given[place]) fail(item, fmt::format("names: number {} is there twice", place));
      given[place] = true;
      dataset_.names[place] = item.text;
    }
    if (nc >= 0 && nc != static_cast<int64_t>(given.size()))
      fail(*count, fmt::format("nc is {}, but there are {} names", nc, given.size()));
  }

  const fs::path& file_;
  std::string name_;
  Dataset dataset_;
};

}  // namespace

Dataset parse_dataset_yaml(std::string_view text, const fs::path& file, std::vector<std::string> names) {
  return DatasetParser(file).parse(text, std::move(names));
}

}  // namespace marrow::data
