// What images show: rows, JSON, XML, and the file that remembers them.
#include "fuzz/checksums.h"
#include "fuzz/readers.h"
#include "marrow/base/error.h"
#include "marrow/data/formats/coco_format.h"
#include "marrow/data/formats/dota_format.h"
#include "marrow/data/formats/voc_format.h"
#include "marrow/data/label_cache.h"
#include "marrow/data/shards/shard_index.h"
#include "marrow/image/encode.h"
#include "marrow/image/scene.h"
#include "marrow/track/mot_text.h"

namespace marrow::fuzz {
namespace {

constexpr Size kPicture{640, 480};
constexpr data::KeypointShape kThreePoints{3, 3};

data::CacheKey fixed_key() {
  data::CacheKey key;
  key.names = {"cat", "dog"};
  key.sources = {"images"};
  return key;
}

}  // namespace

void read_mot_text(Bytes bytes) {
  track::parse_mot(text_of(bytes), "gt.txt", track::MotKind::kTracks);
  track::parse_mot(text_of(bytes), "det.txt", track::MotKind::kDetections);
}

Seeds mot_text_seeds() {
  return {"1,1,10,20,30.5,40,1,1,1\n1,2,50,20,30,40,0.5,-1,-1,-1\n\n2, 1, 11, 20, 30, 40\n"};
}

void read_yolo_labels(Bytes bytes) {
  for (const Task task : {Task::kDetect, Task::kSegment, Task::kPose, Task::kObb}) {
    const data::YoloRows rules{3, task == Task::kPose ? kThreePoints : data::KeypointShape{}, 2, task};
    const data::ParsedLabels labels = data::parse_yolo_labels(text_of(bytes), "a.txt", rules);
    if (!labels.usable) continue;
    data::LabelledImage image;
    image.width = kPicture.width;
    image.height = kPicture.height;
    image.labels = labels.labels;
    image.polygons = labels.polygons;
    image.parts = labels.parts;
    image.keypoints = labels.keypoints;
    data::yolo_label_lines(image, task, rules.keypoints);
  }
}

Seeds yolo_label_seeds() {
  return {"0 0.5 0.5 0.25 0.25\n1 .1 .1 .2 .2\n2 0.5 0.5 1 1\n",
          "0 0.1 0.1 0.9 0.1 0.5 0.9\n1 0 0 1 0 1 1 0 1\n",
          "1 0.5 0.5 0.2 0.2 0.4 0.4 2 0.5 0.5 1 0.6 0.6 0\n"};
}

void read_dota_labels(Bytes bytes) {
  static const data::ClassIndex classes({"plane", "ship"});
  data::parse_dota(text_of(bytes), "a.txt", classes, kPicture);
}

Seeds dota_label_seeds() {
  return {"imagesource:GoogleEarth\ngsd:0.1\n10 10 100 10 100 50 10 50 plane 0\n1.5 2 3 4 5 6 7 8 ship 1\n"};
}

void read_coco_json(Bytes bytes) {
  const data::CocoFile coco = data::parse_coco(text_of(bytes), "a.json");
  data::CocoClasses classes;
  for (const data::CocoCategory& category : coco.categories)
    classes.class_of.emplace_back(category.id, static_cast<int>(classes.class_of.size()));
  for (const data::CocoImage& image : coco.images) {
    std::vector<data::CocoObject> objects;
    for (const data::CocoObject& object : coco.objects)
      if (object.image_id == image.id) objects.push_back(object);
    data::coco_labels(coco, image, objects, classes, kPicture.width, kPicture.height, "a.json");
  }
}

Seeds coco_seeds() {
  return {R"({"images":[{"id":5,"file_name":"a.png","width":40,"height":20}],
"categories":[{"id":3,"name":"cat","keypoints":["a","b"]},{"id":"1","name":"dog"}],
"annotations":[{"id":1,"image_id":5,"category_id":3,"bbox":[10,5,20,10],"iscrowd":0,"segmentation":[[10,5,30,5,30,15]],
"keypoints":[1,2,2,3,4,0]},{"id":2,"image_id":5,"category_id":1,"bbox":[0,0,40,20],"iscrowd":1,
"segmentation":{"counts":[1,2,3],"size":[20,40]}},{"id":3,"image_id":5,"category_id":1,"bbox":[0,0,4,2],
"segmentation":{"counts":"\\00;0P","size":[20,40]}}]})"};
}

void read_voc_xml(Bytes bytes) {
  static const data::ClassIndex classes({"cat", "dog"});
  const data::VocFile voc = data::parse_voc(text_of(bytes), "a.xml");
  data::voc_labels(voc, classes, kPicture.width, kPicture.height, "a.xml");
}

Seeds voc_seeds() {
  return {
      "<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY b "
      "\"c\">]><annotation><filename>a.jpg</filename><size><width>640</width>"
      "<height>480</height><depth>3</depth></size><object><name>cat</name><difficult>1</"
      "difficult><bndbox><xmin>1</xmin>"
      "<ymin>2.5</ymin><xmax>30</xmax><ymax>40</ymax></bndbox></object></annotation>"};
}

void read_label_cache_file(Bytes bytes) {
  const std::string right = with_label_cache_checksum(bytes);
  const InputFile file(std::as_bytes(std::span(right)));
  const data::CacheRead cache = data::read_label_cache(file.path(), fixed_key());
  if (!cache.scan) throw Error(ErrorKind::kFormat, cache.reason);
}

Seeds label_cache_seeds() {
  data::Scan scan;
  scan.pictures.resize(2);
  scan.pictures[1].image.path = "images/a.jpg";
  scan.pictures[1].image.width = 4;
  scan.pictures[1].image.height = 3;
  scan.pictures[1].image.labels = {{1, {0.5, 0.5, 0.2, 0.2}}};
  scan.pictures[1].image.polygons.push_back({{0, 0}, {1, 0}, {1, 1}});
  scan.problems.push_back({data::Problem::Severity::kNote, data::Problem::Kind::kOther, "a.txt:1", "what"});
  return {written([&](const std::string& path) { data::write_label_cache(path, fixed_key(), scan); })};
}

void read_tar_shard(Bytes bytes) {
  data::index_shard(data::source_of(bytes), "a.tar");
}

Seeds tar_shard_seeds() {
  const auto member = [](const std::string& name, const std::string& content) {
    return data::tar_header(name, content.size()) + content +
           std::string(data::tar_padding(content.size()), '\0');
  };
  const std::string picture = image::encode_png(image::draw_scene(12, 10, 1).pixels());
  return {member("a.png", picture) + member("a.txt", "0 0.5 0.5 0.25 0.25\n") + data::tar_end(),
          member(std::string(150, 'n') + ".png", picture) + member("b.cls", "1") + data::tar_end()};
}

void read_shard_index_file(Bytes bytes) {
  const InputFile file(bytes);
  data::read_shard_summary(file.path());
  data::read_shard_index(file.path());
}

Seeds shard_index_seeds() {
  const std::string tar = tar_shard_seeds().front();
  const data::ShardIndex index = data::index_shard(data::source_of(std::as_bytes(std::span(tar))), "a.tar");
  return {written([&](const std::string& path) { data::write_shard_index(path, index); })};
}

}  // namespace marrow::fuzz
