#include "marrow/serve/site/run_index.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/text.h"
#include "marrow/base/yaml.h"
#include "marrow/data/dataset.h"
#include "marrow/train/recipe/results_csv.h"

namespace marrow::serve {
namespace {

namespace fs = std::filesystem;
constexpr size_t kMostPictureBytes = 64 << 20;
constexpr size_t kMostPictures = 100;
constexpr const char* kResults = "results.csv";

std::string picture_type(const fs::path& path) {
  const std::string suffix = to_lower(path.extension().string());
  return suffix == ".png" ? "image/png" : suffix == ".jpg" ? "image/jpeg" : "";
}

std::vector<std::string> pictures_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    if (it->is_regular_file() && !picture_type(it->path()).empty())
      names.push_back(it->path().filename().string());
  std::ranges::sort(names);
  names.resize(std::min(names.size(), kMostPictures));
  return names;
}

std::vector<fs::path> folders_with_results(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  fs::recursive_directory_iterator it(folder, fs::directory_options::skip_permission_denied, error), end;
  for (; !error && it != end; it.increment(error)) {
    if (it.depth() >= RunIndex::kDepth) it.disable_recursion_pending();
    if (it->path().filename() == kResults && it->is_regular_file()) found.push_back(it->path().parent_path());
  }
  return found;
}

fs::file_time_type written(const fs::path& run) {
  std::error_code error;
  return fs::last_write_time(run / kResults, error);
}

std::string setting(const YamlValue& settings, std::string_view key) {
  const YamlValue* value = settings.find(key);
  return value == nullptr || value->kind != YamlValue::Kind::kScalar ? "" : value->text;
}

std::string text_of(const nlohmann::ordered_json& value) {
  return value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

// A run's dataset may have gone since.
std::vector<std::string> classes_of(const std::string& dataset) {
  try {
    return dataset.empty() ? std::vector<std::string>() : data::read_dataset(dataset).names;
  } catch (const Error&) {
    return {};
  }
}

void add_settings(nlohmann::ordered_json& run, const fs::path& folder) {
  run["model"] = "";
  run["epochs"] = 0;
  run["classes"] = nlohmann::ordered_json::array();
  const fs::path file = folder / "args.yaml";
  if (!fs::is_regular_file(file)) return;
  const YamlValue settings = parse_yaml(read_file(file, kMaxYamlBytes), file.string());
  const std::string backbone = setting(settings, "backbone");
  run["model"] =
      setting(settings, "model") + (backbone.empty() || backbone == "null" ? "" : " on " + backbone);
  const YamlValue* epochs = settings.find("epochs");
  if (epochs != nullptr && to_json(*epochs).is_number()) run["epochs"] = to_json(*epochs);
  run["classes"] = classes_of(setting(settings, "data"));
}

}  // namespace

RunIndex::RunIndex(fs::path folder) : folder_(std::move(folder)) {
  if (!fs::is_directory(folder_))
    throw Error(ErrorKind::kFile, folder_.string() + ": there is no such folder");
  list();
}

std::string RunIndex::list() {
  std::vector<fs::path> found = folders_with_results(folder_);
  std::ranges::sort(found, std::greater(), written);
  found.resize(std::min(found.size(), kMostRuns));
  nlohmann::ordered_json runs = nlohmann::ordered_json::array();
  const std::lock_guard lock(mutex_);
  for (const fs::path& run : found) {
    auto known = std::ranges::find(runs_, run);
    if (known == runs_.end()) known = runs_.insert(runs_.end(), run);
    runs.push_back({{"id", known - runs_.begin()}, {"name", run.lexically_relative(folder_).string()}});
  }
  return text_of(nlohmann::ordered_json{{"runs", runs}});
}

fs::path RunIndex::at(size_t id) const {
  const std::lock_guard lock(mutex_);
  if (id >= runs_.size()) throw HttpError(404, "there is no such run");
  return runs_[id];
}

std::string RunIndex::run(size_t id) const {
  const fs::path folder = at(id);
  nlohmann::ordered_json run = {{"id", id}, {"name", folder.lexically_relative(folder_).string()}};
  try {
    add_settings(run, folder);
    const train::ResultsTable table = train::read_results_csv(folder / kResults);
    run["columns"] = table.columns;
    run["rows"] = table.rows;  // what is no number becomes null
  } catch (const Error&) {
    throw HttpError(404, "the run's files are gone or cannot be read");
  }
  run["pictures"] = pictures_in(folder);
  return text_of(run);
}

Response RunIndex::picture(size_t id, const std::string& name) const {
  const fs::path folder = at(id);
  const std::vector<std::string> names = pictures_in(folder);
  const auto found = std::ranges::find(names, name);
  if (found == names.end()) throw HttpError(404, "the run has no such picture");
  try {
    return {200, picture_type(*found), read_file(folder / *found, kMostPictureBytes)};
  } catch (const Error&) {
    throw HttpError(404, "the picture is gone or cannot be read");
  }
}

}  // namespace marrow::serve
