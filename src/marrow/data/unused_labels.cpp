#include "marrow/data/unused_labels.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_map>

#include "marrow/base/text.h"

namespace marrow::data {
namespace {

namespace fs = std::filesystem;

// The folder around the folders of images and labels.
fs::path around(const fs::path& source) {
  for (fs::path folder = source; folder != folder.parent_path(); folder = folder.parent_path())
    if (folder.filename() == "images" && folder.parent_path() != folder.root_path())
      return folder.parent_path();
  return source.parent_path();
}

bool is_below(const fs::path& path, const fs::path& folder) {
  const fs::path relative = path.lexically_relative(folder);
  return !relative.empty() && *relative.begin() != "..";
}

// Of the dataset, none inside another.
std::vector<fs::path> folders_of(const Dataset& dataset) {
  std::vector<fs::path> all = {dataset.root.lexically_normal()};
  for (const Split& split : dataset.splits)
    for (const SplitSource& source : split.sources) all.push_back(around(source.path.lexically_normal()));
  std::ranges::sort(all);
  std::vector<fs::path> folders;
  for (const fs::path& folder : all)
    if (folder != folder.root_path() && (folders.empty() || !is_below(folder, folders.back())))
      folders.push_back(folder);
  return folders;
}

class Search {
 public:
  Search(const std::vector<fs::path>& images, const std::set<fs::path>& read) : read_(read) {
    for (const fs::path& image : images) by_stem_.emplace(image.stem().string(), image);
  }

  void look_through(const fs::path& folder) {
    std::error_code error;
    fs::recursive_directory_iterator entry(folder, fs::directory_options::skip_permission_denied, error), end;
    for (; !error && entry != end && looked_at_ < kMaxFilesLookedAt; entry.increment(error)) {
      ++looked_at_;
      std::error_code ignored;
      if (entry->path().filename().native().starts_with('.'))
        entry.disable_recursion_pending();
      else if (!entry->is_directory(ignored))
        look_at(entry->path());
    }
  }

  std::vector<UnusedLabels> take() {
    std::vector<UnusedLabels> found;
    for (auto& [key, labels] : found_) found.push_back(std::move(labels));
    return found;
  }

 private:
  void look_at(const fs::path& file) {
    const std::string suffix = to_lower(file.extension().string());
    if (suffix != ".txt" && suffix != ".xml" && suffix != ".json") return;
    const auto image = by_stem_.find(file.stem().string());
    if (image == by_stem_.end() || read_.contains(file)) return;
    UnusedLabels& labels = found_[{file.parent_path(), suffix}];
    if (labels.count++ > 0 && labels.file < file) return;
    labels.folder = file.parent_path();
    labels.suffix = suffix;
    labels.file = file;
    labels.image = image->second;
  }

  const std::set<fs::path>& read_;
  std::unordered_map<std::string, fs::path> by_stem_;
  std::map<std::pair<fs::path, std::string>, UnusedLabels> found_;
  int64_t looked_at_ = 0;
};

}  // namespace

std::string UnusedLabels::text(const Dataset& dataset) const {
  std::string text = fmt::format("{} is named as {} and is not read", shown(file), shown(image));
  if (count > 1) text += fmt::format(", like {} more in this folder", count - 1);
  if (suffix == ".xml") return text + "; is it VOC's? See 'format: voc' in docs/data.md";
  if (suffix == ".json") return text + "; one JSON file an image is not a format that is read";
  return text +
         fmt::format("; the labels of this image are looked for in {}", shown(label_path(dataset, image)));
}

std::vector<UnusedLabels> find_unused_labels(const Dataset& dataset, const std::vector<fs::path>& images,
                                             const std::set<fs::path>& read) {
  if (images.empty()) return {};
  Search search(images, read);
  for (const fs::path& folder : folders_of(dataset)) search.look_through(folder);
  return search.take();
}

}  // namespace marrow::data
