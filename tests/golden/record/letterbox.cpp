// Letterbox geometry, boxes scaled back, rectangular batches and pixels, by their formulas. The images hold
// multiples of 64 and every scale is 1/4, 1/2, 2 or 4, so that bilinear interpolation gives whole numbers
// and no rounding is left to choose.
#include "plain_letterbox.h"

namespace marrow::golden {
namespace {

json geometry() {
  json rows = json::array();
  for (const Extent in :
       {Extent{480, 640}, {1080, 810}, {37, 91}, {640, 640}, {1, 500}, {333, 1001}, {2000, 15}})
    for (const Extent target : {Extent{640, 640}, {320, 416}})
      for (const Mode& mode : {Mode{}, Mode{.minimum = true}, Mode{.scale_up = false}, Mode{.fill = true},
                               Mode{.center = false}}) {
        const Placed placed = place(in, target, mode);
        if (placed.resized.h == 0 || placed.resized.w == 0) continue;
        json row = {{"in_hw", pair(in)},    {"new_hw", pair(target)},   {"stride", mode.stride},
                    {"auto", mode.minimum}, {"scaleup", mode.scale_up}, {"scale_fill", mode.fill},
                    {"center", mode.center}};
        add_placed(row, placed);
        row["out_hw"] = {placed.resized.h + placed.top + placed.bottom,
                         placed.resized.w + placed.left + placed.right};
        rows.push_back(row);
      }
  return rows;
}

// Back from the network's input: the padding off, divided by the ratio, kept inside the image.
json boxes_back() {
  json rows = json::array();
  Draws draws("letterbox/boxes");
  for (const Extent image : {Extent{1181, 1863}, {333, 250}, {48, 640}})
    for (const bool known : {false, true}) {
      const Extent input{640, 512};
      double gain = std::min(static_cast<double>(input.h) / image.h, static_cast<double>(input.w) / image.w);
      double pad_x = std::nearbyint((input.w - image.w * gain) / 2 - 0.1),
             pad_y = std::nearbyint((input.h - image.h * gain) / 2 - 0.1);
      json row = {{"img1_hw", pair(input)},
                  {"img0_hw", pair(image)},
                  {"boxes", json::array()},
                  {"out", json::array()}};
      if (known) {
        gain = 0.25;
        pad_x = 7;
        pad_y = 11;
        row["ratio_pad"] = {{gain, gain}, {pad_x, pad_y}};
      }
      for (int i = 0; i < 4; ++i) {
        json from, to;
        for (int side = 0; side < 4; ++side) {
          const bool x = side % 2 == 0;
          const double at = draws.between(-80, x ? 4 * input.w : 4 * input.h) / 4.0;
          from.push_back(at);
          to.push_back(
              std::clamp((at - (x ? pad_x : pad_y)) / gain, 0.0, static_cast<double>(x ? image.w : image.h)));
        }
        row["boxes"].push_back(from);
        row["out"].push_back(to);
      }
      rows.push_back(row);
    }
  return rows;
}

json loaded_sizes() {
  json rows = json::array();
  for (const Extent in : {Extent{480, 640}, {1080, 810}, {37, 91}, {640, 640}, {1, 500}, {333, 1001}})
    for (const int size : {320, 640})
      rows.push_back({{"in_hw", pair(in)}, {"imgsz", size}, {"out_hw", pair(loaded(in, size))}});
  return rows;
}

Weights pixel_cases() {
  Weights tensors;
  const auto put = [&](const std::string& name, const Pixels& image) {
    tensors.emplace(name, tensor_of<uint8_t>({image.extent.h, image.extent.w, 3}, image.values));
  };
  int number = 0;
  for (const Extent extent : {Extent{16, 24}, {20, 12}}) {
    Pixels image = blank(extent, 0);
    Draws draws("letterbox/image" + std::to_string(number));
    for (double& value : image.values) value = 64 * draws.between(0, 3);
    const std::string name = "img" + std::to_string(number++);
    const auto named = [&](const char* what, Extent target) {
      return name + "." + what + "_" + std::to_string(target.h) + "x" + std::to_string(target.w);
    };
    put(name, image);
    const int longest = std::max(extent.h, extent.w);
    for (const Extent target :
         {Extent{2 * longest, 2 * longest}, {longest / 2, longest / 2}, {longest, longest}})
      put(named("letterbox", target), boxed(image, target, {}));
    put(named("letterbox_auto", {2 * longest, 2 * longest}),
        boxed(image, {2 * longest, 2 * longest}, {.minimum = true}));
    put(named("letterbox_noup", {45, 53}), boxed(image, {45, 53}, {.scale_up = false}));
    const Extent stretched{2 * extent.h, extent.w / 2};
    put(named("stretch", stretched), boxed(image, stretched, {.fill = true}));
    for (const Extent target :
         {Extent{4 * extent.h, 2 * extent.w}, {extent.h / 4, extent.w / 2}, {extent.h / 2, extent.w * 4}})
      put(named("resize_linear", target), resized(image, target));
  }
  return tensors;
}

}  // namespace

void record_letterbox(const fs::path& root) {
  const fs::path folder = root / "yolov8" / "letterbox";
  const std::vector<Extent> images = {{447, 1111}, {520, 393}, {1148, 1189}, {1014, 737}, {152, 1101},
                                      {284, 568},  {417, 331}, {549, 482},   {451, 179}};
  write_json(folder / "letterbox.json",
             {{"predict_letterbox", geometry()},
              {"scale_boxes", boxes_back()},
              {"val_load_image", loaded_sizes()},
              {"rect_batches", {plan(images, 640, 4, 0.5), plan(images, 320, 2, 0.0)}}});
  write_tensors(folder / "letterbox_pixels.safetensors", pixel_cases());
}

}  // namespace marrow::golden
