#include "api/made_files.h"

#include <fstream>

#include "marrow/image/convert.h"
#include "marrow/image/encode.h"
#include "marrow/image/scene.h"
#include "support/made_network.h"

namespace marrow::testing {
namespace {

void write(const std::filesystem::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

}  // namespace

void write_api_files(const std::filesystem::path& folder) {
  write_network(folder / "detector.safetensors", "yolov8n", {"red box", "green/disc", "bar"});
  write_network(folder / "thresholds.safetensors", "yolov8n", {"red box", "green/disc", "bar"},
                {.thresholds = {0.45f, 0.3f, 0.9f}});
  write_network(folder / "tiles.safetensors", "yolov8n", {"red box", "green/disc", "bar"},
                {.tiles = {48, 0.5}});
  write_network(folder / "end2end.safetensors", "yolo26n", {"red box", "green/disc", "bar"});
  for (const auto& [file, name] :
       {std::pair{"segment", "yolov8n-seg"}, {"pose", "yolov8n-pose"}, {"obb", "yolov8n-obb"}})
    write_network(folder / (std::string(file) + ".safetensors"), name, {"red box", "green/disc", "bar"});
  write_network(folder / "classifier.safetensors", "yolov8n-cls",
                {"apple", "bread", "cheese", "d\xc3\xa9lice", "egg", "fig", "grape"});
  write(folder / "a.jpg", image::encode_jpeg(image::draw_scene(80, 60, 1).pixels()));
  write(folder / "b.png", image::encode_png(image::draw_scene(53, 97, 2).pixels()));
  write(folder / "c.jpg", image::encode_jpeg(image::draw_scene(64, 64, 3).pixels()));
  image::Image grey = image::draw_scene(40, 30, 4);
  for (int y = 0; y < grey.height(); ++y)
    for (int x = 0; x < grey.width(); ++x) {
      uint8_t* pixel = grey.row(y) + static_cast<size_t>(x) * 3;
      pixel[1] = pixel[2] = pixel[0];
    }
  const ImageReading bands = {{4, 16}, {0, 50'000}};
  write_network(folder / "bands.safetensors", "yolov8n", {"a", "b"}, {.reading = bands});
  write(folder / "bands.tif",
        image::encode_tiff(image::stand_in(image::draw_scene(80, 60, 5), bands.samples).pixels()));
  write(folder / "grey.png", image::encode_png(grey.pixels()));
}

}  // namespace marrow::testing
