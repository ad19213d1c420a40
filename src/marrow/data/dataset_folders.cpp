#include "marrow/data/dataset_folders.h"

#include <fmt/format.h>

#include <algorithm>

#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/detect/sources.h"

namespace marrow::data {

namespace fs = std::filesystem;

std::vector<ClassifiedImage> list_classified(const Dataset& dataset, std::string_view split) {
  const ClassIndex classes(dataset.names);
  std::vector<ClassifiedImage> images;
  for (const SplitSource& source : dataset.split(split).sources) {
    std::error_code error;
    for (fs::directory_iterator entry(source.path, error), end; !error && entry != end;
         entry.increment(error)) {
      std::error_code ignored;
      const std::string name = entry->path().filename().string();
      if (name.starts_with('.') || !entry->is_directory(ignored)) continue;
      const int class_id = classes.find(name);
      if (class_id < 0)
        throw Error(ErrorKind::kFormat, fmt::format("{}: {}", shown(entry->path()),
                                                    unknown_name_message("class", name, dataset.names)));
      for (fs::path& path : list_files(entry->path(), detect::has_image_suffix))
        images.push_back({std::move(path), class_id});
    }
    if (error)
      throw Error(ErrorKind::kFile,
                  fmt::format("{}: cannot list the folder: {}", shown(source.path), error.message()));
  }
  if (images.empty())
    throw Error(ErrorKind::kFile, fmt::format("{}: split '{}' has no images", shown(dataset.file), split));
  std::ranges::sort(images, [](const ClassifiedImage& a, const ClassifiedImage& b) {
    return std::tie(a.class_id, a.path.native()) < std::tie(b.class_id, b.path.native());
  });
  return images;
}

}  // namespace marrow::data
