#include "marrow/data/formats/voc_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "marrow/base/files.h"
#include "marrow/data/dataset_split.h"
#include "support.h"
#include "support/golden.h"

namespace marrow::data {
namespace {

namespace fs = std::filesystem;
using testing::message_of;

std::string object(const std::string& name, const std::string& box, const std::string& more = "") {
  const size_t a = box.find(' '), b = box.find(' ', a + 1), c = box.find(' ', b + 1);
  return "<object>\n<name>" + name + "</name>" + more + "<bndbox><xmin>" + box.substr(0, a) +
         "</xmin><ymin>" + box.substr(a + 1, b - a - 1) + "</ymin><xmax>" + box.substr(b + 1, c - b - 1) +
         "</xmax><ymax>" + box.substr(c + 1) + "</ymax></bndbox></object>\n";
}

std::string annotation(const std::string& objects) {
  return "<annotation>\n<path>/etc/passwd</path><filename>a.png</filename>\n"
         "<size><width>40</width><height>20</height></size>\n" +
         objects + "</annotation>";
}

ParsedLabels parse_annotation(const std::string& text) {
  return voc_labels(parse_voc(text, "a.xml"), ClassIndex({"cat", "dog"}), 40, 20, "a.xml");
}

TEST(VocFormat, NoPixelIsSubtracted) {
  const ParsedLabels labels =
      parse_annotation(annotation(object("dog", "0 0 40 20") + object("cat", "10 5 20.5 15")));
  EXPECT_TRUE(labels.usable);
  EXPECT_EQ(labels.labels, (std::vector<Label>{{1, .5, .5, 1, 1}, {0, 30.5 / 2 / 40, .5, 10.5 / 40, .5}}));
}

TEST(VocFormat, DifficultObjectsArePutAside) {
  const ParsedLabels labels = parse_annotation(
      annotation(object("dog", "0 0 40 20", "<difficult> 1 </difficult>") + object("cat", "1 1 1 5")));
  EXPECT_TRUE(labels.labels.empty());
  ASSERT_EQ(labels.ignored.size(), 1u);
  EXPECT_EQ(labels.ignored[0].reason, IgnoredLabel::Reason::kDifficult);
  ASSERT_EQ(labels.problems.size(), 1u);
  EXPECT_EQ(labels.problems[0].kind, Problem::Kind::kZeroArea);
}

TEST(VocFormat, MistakesAreNamedWithTheirLine) {
  const auto error = [](const std::string& text) {
    const ParsedLabels labels = parse_annotation(text);
    EXPECT_FALSE(labels.usable);
    return labels.problems.empty() ? "" : labels.problems[0].text();
  };
  EXPECT_EQ(error(annotation(object("dgo", "0 0 1 1"))),
            "a.xml:4: unknown class 'dgo'. Did you mean 'dog'? Known: cat, dog");
  EXPECT_EQ(error(annotation(object("dog", "0 x 1 1"))), "a.xml:5: <ymin> 'x' is not a number");
  EXPECT_EQ(error(annotation(object("dog", "0 nan 1 1"))), "a.xml:5: <ymin> 'nan' is not a number");
  EXPECT_EQ(error(annotation("<object/>")), "a.xml:4: an object without <name>");
  EXPECT_EQ(error(annotation("<object><name>dog</name></object>")), "a.xml:4: object 'dog' without <bndbox>");
  EXPECT_EQ(error("<html/>"), "a.xml:1: not VOC's: no <annotation>");
}

TEST(VocFormat, EveryTruncationAndHostileFileIsUnusable) {
  const std::string text = annotation(object("dog", "0 0 1 1"));
  for (size_t length = 0; length < text.size(); ++length)
    EXPECT_FALSE(parse_annotation(text.substr(0, length)).usable) << length;
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "<a>";
  std::string laughs =
      "<!DOCTYPE a [<!ENTITY b \"bbbb\"><!ENTITY c \"&b;&b;&b;\">]><annotation>&c;</annotation>";
  for (const std::string& bad :
       {deep, std::string("\xff\xfe\0<\0a", 6), std::string(1000, '\0'), std::string("<annotation>\xff")})
    EXPECT_FALSE(parse_annotation(bad).usable);
  parse_annotation(laughs);  // entities are not expanded; whatever comes out is small
  std::string many;
  for (int i = 0; i < 10'000; ++i) many += object("bird" + std::to_string(i), "0 0 1 1");
  EXPECT_EQ(parse_annotation(annotation(many)).problems.size(), static_cast<size_t>(kProblemsPerFile));
}

class VocDataset : public testing::DataFolder {};

TEST_F(VocDataset, AFolderIsReadInPlace) {
  write_picture("voc/JPEGImages/a.png");
  write_picture("voc/JPEGImages/other.png", 2);
  write("voc/Annotations/a.xml", annotation(object("dog", "0 0 20 10")));
  write("voc/Annotations/b.xml",
        "<annotation><filename>other.png</filename>" + object("cat", "0 0 20 10") + "</annotation>");
  write("voc/ImageSets/Main/train.txt", "a 1\nb -1\n");
  write("voc/ImageSets/Main/val.txt", "b\ngone\n");
  const Dataset dataset = read_dataset(folder_ / "voc");
  EXPECT_EQ(dataset.format, DatasetFormat::kVoc);
  EXPECT_EQ(dataset.names, (std::vector<std::string>{"cat", "dog"}));
  const SplitLabels train = load_split(dataset, "train");
  ASSERT_EQ(train.images.size(), 2u);
  EXPECT_EQ(train.images[0].labels, (std::vector<Label>{{1, .25, .25, .5, .5}}));
  EXPECT_EQ(train.images[1].path.filename(), "other.png");  // named by the file; its size is the image's
  EXPECT_EQ(train.images[1].labels, (std::vector<Label>{{0, .25, .25, .5, .5}}));
  const SplitLabels val = load_split(dataset, "val");
  EXPECT_EQ(val.images.size(), 1u);
  EXPECT_EQ(val.dropped, 1);
  EXPECT_NE(val.problems.at(0).text().find("gone.xml"), std::string::npos);
}

TEST_F(VocDataset, ListsMayHoldBlanks) {
  uint64_t seed = 0;
  for (const char* stem : {"field one (1)", "field two", "three", "four 1"}) {
    write_picture(fmt::format("voc/JPEGImages/{}.png", stem), ++seed);
    write(fmt::format("voc/Annotations/{}.xml", stem), annotation(object("dog", "0 0 20 10")));
  }
  write("voc/ImageSets/Main/train.txt",
        "\xef\xbb\xbf"
        "field one (1)\r\nfield two -1\nthree  1\nfour 1\n\n");
  const Dataset dataset = read_dataset(folder_ / "voc");
  EXPECT_EQ(dataset.names, (std::vector<std::string>{"dog"}));
  const SplitLabels train = load_split(dataset, "train");
  EXPECT_EQ(train.images.size(), 4u);
  EXPECT_EQ(train.dropped, 0);
  fs::remove_all(folder_ / "voc/Annotations");
  fs::create_directories(folder_ / "voc/Annotations");
  EXPECT_NE(testing::message_of([&] {
              read_dataset(folder_ / "voc");
            }).find("no classes are named, and an annotation of split 'train' is not there: "),
            std::string::npos);
}

// "class cx cy w h" with six decimals, sorted.
std::vector<std::string> rows(const std::vector<Label>& labels) {
  std::vector<std::string> result;
  for (const Label& label : labels)
    result.push_back(fmt::format("{} {:.6f} {:.6f} {:.6f} {:.6f}", label.class_id, label.box.cx, label.box.cy,
                                 label.box.width, label.box.height));
  std::ranges::sort(result);
  return result;
}

// Every dataset beside the golden folder that has its VOC originals.
TEST(VocOriginals, EqualTheLabelsToSixDecimals) {
  const fs::path data = testing::data_folder();
  MARROW_NEEDS(data);
  int compared = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(data)) {
    if (!fs::is_directory(entry.path() / "original/Annotations") || !fs::exists(entry.path() / "data.yaml"))
      continue;
    const Dataset yolo = read_dataset(entry.path() / "data.yaml");
    const Dataset voc = read_dataset(entry.path() / "original", yolo.names);
    for (const Split& split : yolo.splits) {
      const SplitLabels expected = load_split(yolo, split.name, {.use_cache = false});
      const SplitLabels found = load_split(voc, split.name, {.use_cache = false});
      EXPECT_EQ(expected.dropped, 0);
      EXPECT_EQ(found.dropped, 0);
      ASSERT_EQ(expected.images.size(), found.images.size());
      for (size_t i = 0; i < found.images.size(); ++i) {
        ASSERT_EQ(expected.images[i].path, found.images[i].path);
        EXPECT_EQ(rows(expected.images[i].labels), rows(found.images[i].labels)) << found.images[i].path;
        ++compared;
      }
    }
  }
  EXPECT_GT(compared, 0);
}

}  // namespace
}  // namespace marrow::data
