#include <algorithm>

#include "marrow/data/dataset_split.h"
#include "marrow/data/tools/convert.h"
#include "support.h"

namespace marrow::data {
namespace {

namespace fs = std::filesystem;
using testing::message_of;

class ListImages : public testing::DataFolder {
 protected:
  std::vector<std::string> names(const fs::path& dataset, const std::string& split) {
    std::vector<std::string> names;
    for (const fs::path& path : list_images(read_dataset(dataset), split)) {
      EXPECT_TRUE(fs::is_regular_file(path)) << path;
      names.push_back(path.filename());
    }
    return names;
  }
};

TEST_F(ListImages, IsTheSameInEveryFormat) {
  for (const char* name : {"train/a", "train/b", "val/c"}) {
    write_picture(std::string("yolo/images/") + name + ".png", std::string(name).back());
    write(std::string("yolo/labels/") + name + ".txt", "0 .5 .5 .25 .5\n");
  }
  write("yolo/data.yaml", "train: images/train\nval: images/val\nnames: [x]\n");
  for (const DatasetFormat to : {DatasetFormat::kCoco, DatasetFormat::kVoc})
    convert_dataset(read_dataset(folder_ / "yolo"), folder_ / format_name(to), {.to = to});
  for (const char* format : {"yolo", "coco", "voc"}) {
    EXPECT_EQ(names(folder_ / format, "train"), (std::vector<std::string>{"a.png", "b.png"})) << format;
    EXPECT_EQ(names(folder_ / format, "val"), std::vector<std::string>{"c.png"}) << format;
  }
}

TEST_F(ListImages, OfClassFoldersToo) {
  for (const char* name : {"train/cat/b.png", "train/dog/a.png", "val/dog/c.png"}) write_picture(name);
  EXPECT_EQ(names(folder_, "train"), (std::vector<std::string>{"b.png", "a.png"}));  // by path
  EXPECT_EQ(names(folder_, "val"), std::vector<std::string>{"c.png"});
}

TEST_F(ListImages, LeavesOutWhatIsMissing) {
  write_picture("a.png");
  const std::string head = R"({"categories": [{"id": 1, "name": "x"}], "annotations": [], "images": [)";
  write("some.json", head + R"({"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "gone.png"}]})");
  write("none.json", head + R"({"id": 2, "file_name": "gone.png"}]})");
  EXPECT_EQ(names(folder_ / "some.json", "train"), std::vector<std::string>{"a.png"});
  EXPECT_NE(message_of([&] { names(folder_ / "none.json", "train"); }).find("the image 'gone.png' is not in"),
            std::string::npos);
}

}  // namespace
}  // namespace marrow::data
