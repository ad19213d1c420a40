#include <fmt/format.h>

#include "marrow/data/shards/tar.h"
#include "reliability/hostile_files.h"

namespace marrow::testing {
namespace {

HostileFile dataset_file(const std::string& what, const std::string& name, const std::string& content,
                         const std::string& says) {
  return {what, name, content, {"data", "check", name, "--threads", "1", "--project", "runs"}, says};
}

std::string coco(const std::string& segmentation) {
  return R"({"images":[{"id":1,"file_name":"data/images/val/000000.jpg","width":64,"height":64}],)"
         R"("categories":[{"id":1,"name":"a"}],"annotations":[{"id":1,"image_id":1,"category_id":1,)"
         R"("iscrowd":1,"bbox":[1,1,9,9],"area":9,"segmentation":)" +
         segmentation + "}]}";
}

std::string anchored_names() {
  std::string text =
      "train: data/images/train\nval: data/images/val\na0: &a0 [a, a, a, a, a, a, a, a, a, a]\n";
  for (int i = 1; i < 15; ++i) {
    text += fmt::format("a{0}: &a{0} [", i);
    for (int j = 0; j < 10; ++j) text += fmt::format("{}*a{}", j > 0 ? ", " : "", i - 1);
    text += "]\n";
  }
  return text + "names: *a14\n";
}

}  // namespace

std::vector<HostileFile> hostile_datasets() {
  HostileFile tar = dataset_file("tar shard with a file of 1 TB, without its bytes", "hostile-000000.tar",
                                 data::tar_header("a.jpg", 1'000'000'000'000) + data::tar_end(), "cut off?");
  tar.words[2] = "tar.yaml";  // which names it
  return {
      tar,
      dataset_file("dataset YAML of nested anchors: 10^15 names", "o.yaml", anchored_names(), "values"),
      dataset_file("dataset YAML of 10^9 classes", "p.yaml",
                   "train: data/images/train\nval: data/images/val\nnc: 1000000000\n", "p.yaml"),
      dataset_file("COCO JSON with a mask of 10^10 pixels", "q.json",
                   coco(R"({"size":[100000,100000],"counts":"0"})"), "crowds"),
      dataset_file("COCO JSON of 100,000 brackets", "r.json", coco(std::string(100'000, '[')), "r.json"),
  };
}

}  // namespace marrow::testing
