// Texts that name other files, and classes. Their readers go by a file's name.
#include "fuzz/readers.h"
#include "marrow/base/error.h"
#include "marrow/data/dataset.h"
#include "marrow/data/layout_parts.h"
#include "marrow/detect/sources.h"

namespace marrow::fuzz {
namespace {

constexpr size_t kLongestList = 1 << 14;  // each line is looked for on the disk

template <class Function>
void refusing(const Function& function) {
  try {
    function();
  } catch (const Error&) {
  }
}

}  // namespace

void read_file_list(Bytes bytes) {
  if (bytes.size() > kLongestList) return;
  static const OwnFolder folder;
  write_content(folder / "list.txt", bytes);
  write_content(folder / "list.streams", bytes);
  refusing([] { detect::expand_sources((folder / "list.txt").string()); });
  refusing([] {
    for (const std::string& entry : detect::listed_streams(folder / "list.streams")) {
      detect::without_password(entry);
      detect::video_kind(entry);
    }
  });
  data::list_images({"train", {{folder / "list.txt", {}}}});
}

Seeds file_list_seeds() {
  return {"./a.jpg\n/tmp/b.png\r\nc d.tif\n\n",
          "# cameras\nrtsp://user:secret@host:554/a?b\n0\n/dev/video0\na*.mp4\n",
          "\xef\xbb\xbfimages\\a.jpg\n"};
}

void read_class_names(Bytes bytes) {
  if (bytes.size() > kLongestList) return;
  static const OwnFolder text, notes;
  write_content(text / "classes.txt", bytes);
  write_content(notes / "notes.json", bytes);
  refusing([] { data::listed_names(text / ""); });
  data::listed_names(notes / "");
}

Seeds class_name_seeds() {
  return {"cat\ndog\r\n\n\xc3\xa4\n",
          R"({"categories":[{"id":0,"name":"cat"},{"id":1,"name":"dog"}],"info":{}})"};
}

void read_darknet_data(Bytes bytes) {
  if (bytes.size() > kLongestList) return;
  static const OwnFolder folder;
  write_content(folder / "obj.data", bytes);
  data::read_dataset(folder / "obj.data");
}

Seeds darknet_data_seeds() {
  return {"classes = 2\ntrain = data/train.txt\nvalid=val.txt\nnames = obj.data\nbackup = backup/\n# more\n"};
}

}  // namespace marrow::fuzz
