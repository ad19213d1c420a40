#include "marrow/serve/models.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/model/checkpoint_path.h"
#include "marrow/serve/http/message.h"

namespace marrow::serve {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLongestModelName = 100;

bool is_model_name(std::string_view text) {
  const auto allowed = [](char c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return letter || c == '.' || c == '_' || c == '-';
  };
  return !text.empty() && text.size() <= kLongestModelName && text != "." && text != ".." &&
         std::ranges::all_of(text, allowed);
}

// Of a folder, as a cluster mounts it, the one checkpoint in it.
std::string checkpoint_in(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return path;
  std::vector<std::string> found;
  for (fs::directory_iterator each(path, error), end; !error && each != end; each.increment(error))
    if (model::has_checkpoint_suffix(each->path())) found.push_back(each->path().string());
  std::ranges::sort(found);
  if (found.size() != 1)
    throw Error(ErrorKind::kUsage,
                fmt::format("{}: a folder with {} checkpoints{}; wanted is one", path, found.size(),
                            found.empty() ? "" : " (" + join(found, ", ") + ")"));
  return found.front();
}

}  // namespace

std::vector<ModelSource> parse_model_sources(const std::vector<std::string>& words) {
  std::vector<ModelSource> sources;
  for (const std::string& word : words) {
    const size_t equals = word.find('=');
    ModelSource source;
    if (equals != std::string::npos && word.substr(0, equals).find('/') == std::string::npos)
      source = {word.substr(0, equals), word.substr(equals + 1)};
    else
      source = {fs::path(word).stem().string(), word};
    if (!is_model_name(source.name) || source.path.empty())
      throw Error(
          ErrorKind::kUsage,
          fmt::format("{}: wanted NAME=MODEL, where the name is 1 to {} letters, digits, '.', '_' and '-'",
                      printable(word), kLongestModelName));
    if (std::ranges::find(sources, source.name, &ModelSource::name) != sources.end())
      throw Error(
          ErrorKind::kUsage,
          fmt::format("{}: two models are named {}; NAME=MODEL gives one another name", word, source.name));
    sources.push_back(std::move(source));
  }
  return sources;
}

Models::Models(std::vector<ModelSource> sources, const NetworkOptions& options)
    : sources_(std::move(sources)), options_(options) {
  for (const ModelSource& source : sources_) metrics_[source.name] = std::make_shared<ModelMetrics>();
}

void Models::load() {
  const std::lock_guard one_at_a_time(loading_);
  for (const ModelSource& source : sources_) {
    std::shared_ptr<Network> network = Network::load(source.name, checkpoint_in(source.path), options_);
    const std::lock_guard lock(mutex_);
    networks_[source.name].swap(network);
  }
}

bool Models::ready() const {
  const std::lock_guard lock(mutex_);
  return networks_.size() == sources_.size();
}

ModelState Models::state(const std::string& name) const {
  const std::string& wanted = name.empty() ? sources_.front().name : name;
  const auto metrics = metrics_.find(wanted);
  if (metrics == metrics_.end()) {
    std::vector<std::string> known;
    for (const ModelSource& source : sources_) known.push_back(source.name);
    throw HttpError(404, unknown_name_message("model", wanted, known));
  }
  const std::lock_guard lock(mutex_);
  const auto network = networks_.find(wanted);
  return {wanted, network == networks_.end() ? nullptr : network->second, metrics->second};
}

std::shared_ptr<Network> Models::find(const std::string& name) const {
  std::shared_ptr<Network> network = state(name).network;
  if (network == nullptr) throw overloaded("the model is not loaded yet");
  return network;
}

std::vector<ModelState> Models::states() const {
  std::vector<ModelState> states;
  for (const ModelSource& source : sources_) states.push_back(state(source.name));
  return states;
}

}  // namespace marrow::serve
