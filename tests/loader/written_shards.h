// Images as shards of so many, in a folder that is gone afterwards.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "loader/temporary_images.h"
#include "marrow/data/image_bytes.h"
#include "marrow/data/shards/shard_files.h"
#include "marrow/loader/sharded_images.h"

namespace marrow::testing {

class WrittenShards {
 public:
  // The image's number is its key.
  WrittenShards(const std::vector<data::LabelledImage>& images, size_t of_shard, bool classes = false)
      : folder_(images.at(0).path.parent_path() / "shards") {
    std::filesystem::create_directories(folder_);
    dataset.file = folder_ / "data.yaml";
    dataset.names = {"a", "b", "c"};
    if (classes) dataset.format = data::DatasetFormat::kFolders;
    data::Split split{"train", {}};
    for (size_t first = 0; first < images.size(); first += of_shard) {
      const std::filesystem::path path = folder_ / (std::to_string(first) + ".tar");
      std::ofstream tar(path, std::ios::binary);
      for (size_t i = first; i < std::min(first + of_shard, images.size()); ++i) {
        const std::string key = std::to_string(i), pixels = data::read_image_bytes(images[i]);
        add(tar, key + ".png", pixels);
        if (classes)
          add(tar, key + ".cls", std::to_string(i % 3));
        else
          add(tar, key + ".txt",
              data::yolo_label_lines(images[i], Task::kSegment, {}, data::LabelDigits::kAll));
      }
      tar << data::tar_end();
      split.sources.push_back({path, {}});
    }
    dataset.splits = {split};
  }

  std::shared_ptr<const loader::ShardedImages> open(
      int image_size, uint64_t limit = loader::kDefaultShardLimit,
      std::function<void(const std::string&)> report = {}) const {
    loader::ShardedImagesOptions options;
    options.image_size = image_size;
    options.limit = limit;
    options.report = std::move(report);
    return std::make_shared<const loader::ShardedImages>(dataset, data::open_shards(dataset.splits[0]),
                                                         options);
  }

  data::Dataset dataset;

 private:
  static void add(std::ofstream& tar, const std::string& name, const std::string& content) {
    tar << data::tar_header(name, content.size()) << content
        << std::string(data::tar_padding(content.size()), '\0');
  }

  std::filesystem::path folder_;
};

}  // namespace marrow::testing
