#include "marrow/track/tracker_settings.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/text.h"
#include "marrow/base/yaml.h"

namespace marrow::track {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> kTypes = {"bytetrack", "botsort"};
// Trackers and methods of other programs, which are refused by name.
constexpr std::array kOtherTypes = {"tracktrack", "ocsort", "deepocsort", "fasttrack"};
constexpr std::array kOtherMethods = {"orb", "sift", "ecc"};
const std::vector<std::string> kMethods = {"sparseOptFlow", "none"};

// The values of a file, one key at a time.
class SettingsFile {
 public:
  SettingsFile(const YamlValue& map, std::string file) : map_(map), file_(std::move(file)) {}

  std::string text(const std::string& key, const std::string& absent) const {
    const YamlValue* value = map_.find(key);
    if (value == nullptr) return absent;
    if (value->kind == YamlValue::Kind::kNull) return "none";
    if (value->kind != YamlValue::Kind::kScalar) refuse(key, "a name");
    return value->text;
  }

  bool truth(const std::string& key, bool absent) const {
    const YamlValue* value = map_.find(key);
    if (value == nullptr) return absent;
    const nlohmann::json read = to_json(*value);
    if (!read.is_boolean()) refuse(key, "true or false");
    return read.get<bool>();
  }

  double number(const std::string& key, double absent, double low, double high, bool whole = false) const {
    const YamlValue* value = map_.find(key);
    if (value == nullptr) return absent;
    const nlohmann::json read = to_json(*value);
    const double found = read.is_number() ? read.get<double>() : std::nan("");
    if (!(found >= low && found <= high) || (whole && found != std::floor(found)))
      refuse(key, fmt::format("{} of {}..{}", whole ? "a whole number" : "a number", low, high));
    return found;
  }

  // Every key must be one of these.
  void check_keys(const std::vector<std::string>& known) const {
    for (size_t i = 0; i < map_.keys.size(); ++i)
      if (std::ranges::find(known, map_.keys[i]) == known.end())
        throw Error(ErrorKind::kFormat,
                    fmt::format("{}:{}: {}", file_, map_.key_lines[i],
                                unknown_name_message("key", map_.keys[i], known)),
                    {.file = file_, .line = map_.key_lines[i]});
  }

  std::string place(const std::string& key) const { return fmt::format("{}:{}: {}", file_, line(key), key); }

 private:
  int line(const std::string& key) const {
    const YamlValue* value = map_.find(key);
    return value == nullptr ? map_.line : value->line;
  }

  [[noreturn]] void refuse(const std::string& key, const std::string& wanted) const {
    throw Error(ErrorKind::kFormat,
                fmt::format("{}: {} is not {}", place(key), describe(*map_.find(key)), wanted),
                {.file = file_, .line = line(key)});
  }

  const YamlValue& map_;
  std::string file_;
};

TrackerType type_of(const SettingsFile& settings) {
  const std::string type = settings.text("tracker_type", "");
  if (type.empty()) fail_format(settings.place("tracker_type") + ": missing; bytetrack or botsort");
  for (const char* other : kOtherTypes)
    if (type == other)
      fail_unsupported(
          fmt::format("{}: '{}' is a tracker that Marrow does not have; it has bytetrack and botsort",
                      settings.place("tracker_type"), type));
  const auto found = std::ranges::find(kTypes, type);
  if (found == kTypes.end())
    fail_format(settings.place("tracker_type") + ": " + unknown_name_message("tracker", type, kTypes));
  return found == kTypes.begin() ? TrackerType::kByteTrack : TrackerType::kBotSort;
}

bool follows_camera(const SettingsFile& settings) {
  const std::string method = settings.text("gmc_method", kMethods[0]);
  if (to_lower(method) == "none") return false;
  if (method == kMethods[0]) return true;
  for (const char* other : kOtherMethods)
    if (method == other)
      fail_unsupported(fmt::format("{}: Marrow does not have '{}'; it has sparseOptFlow and none",
                                   settings.place("gmc_method"), method));
  fail_format(settings.place("gmc_method") + ": " + unknown_name_message("method", method, kMethods));
}

}  // namespace

TrackerSettings default_settings(TrackerType type) {
  return {.type = type, .camera_motion = type == TrackerType::kBotSort};
}

std::vector<std::string> tracker_names() {
  return {"bytetrack.yaml", "botsort.yaml"};
}

TrackerSettings parse_tracker_settings(const std::string& yaml, const std::string& file) {
  const YamlValue map = parse_yaml(yaml, file);
  if (!map.is_map())
    fail_format(fmt::format("{}: {}, expected keys such as tracker_type: bytetrack", file, describe(map)));
  const SettingsFile read(map, file);
  TrackerSettings settings = default_settings(type_of(read));
  std::vector<std::string> known = {"tracker_type",     "track_high_thresh", "track_low_thresh",
                                    "new_track_thresh", "track_buffer",      "match_thresh",
                                    "fuse_score"};
  const bool botsort = settings.type == TrackerType::kBotSort;
  if (botsort)
    known.insert(known.end(), {"gmc_method", "proximity_thresh", "appearance_thresh", "with_reid", "model"});
  read.check_keys(known);
  settings.high_threshold =
      static_cast<float>(read.number("track_high_thresh", settings.high_threshold, 0, 1));
  settings.low_threshold = static_cast<float>(read.number("track_low_thresh", settings.low_threshold, 0, 1));
  settings.new_threshold = static_cast<float>(read.number("new_track_thresh", settings.new_threshold, 0, 1));
  settings.buffer = static_cast<int>(read.number("track_buffer", settings.buffer, 0, kLongestBuffer, true));
  settings.match_threshold = read.number("match_thresh", settings.match_threshold, 0, 1);
  settings.fuse_score = read.truth("fuse_score", settings.fuse_score);
  if (!botsort) return settings;
  settings.camera_motion = follows_camera(read);
  // Of an appearance model, which nothing reads: checked all the same.
  read.number("proximity_thresh", 0, 0, 1);
  read.number("appearance_thresh", 0, 0, 1);
  if (read.truth("with_reid", false))
    fail_unsupported(read.place("with_reid") + ": Marrow does not compare appearances; set it to false");
  return settings;
}

TrackerSettings read_tracker_settings(const std::string& name) {
  std::error_code ignored;
  if (fs::exists(name, ignored)) return parse_tracker_settings(read_file(name, kMaxYamlBytes), name);
  const std::string stem = name.ends_with(".yaml") ? name.substr(0, name.size() - 5) : name;
  if (stem == kTypes[0]) return default_settings(TrackerType::kByteTrack);
  if (stem == kTypes[1]) return default_settings(TrackerType::kBotSort);
  for (const char* other : kOtherTypes)
    if (stem == other)
      fail_unsupported(fmt::format(
          "{}: a tracker that Marrow does not have; it has bytetrack.yaml and botsort.yaml", name));
  throw Error(ErrorKind::kFile, fmt::format("{}: no such file, and {}", printable(name),
                                            unknown_name_message("tracker", name, tracker_names())));
}

}  // namespace marrow::track
