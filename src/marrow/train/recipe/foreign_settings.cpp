#include "marrow/train/recipe/foreign_settings.h"

#include <algorithm>
#include <array>

#include "marrow/base/text.h"
#include "marrow/train/recipe/option_text.h"

namespace marrow::train {
namespace {

constexpr std::array kForeignSettings = {
    ForeignSetting{"task", "detect,classify,segment,pose,obb", "the model says what it finds"},
    ForeignSetting{"mode", "*", "the command is the mode"},
    ForeignSetting{"resume", "", "--resume RUN goes on with a run"},
    ForeignSetting{"profile", "*", "'marrow benchmark' measures"},
    ForeignSetting{"compile", "*", "kernels are chosen by --autotune"},
    ForeignSetting{"retina_masks", "", "'marrow predict' takes it"},
    ForeignSetting{"rle", "1", "it is for poses"},
    ForeignSetting{"dlog", "1", "it is for depth"},
    ForeignSetting{"dgrad", "0.5", "it is for depth"},
    ForeignSetting{"dlam", "1", "it is for depth"},
    ForeignSetting{"distill_model", "", "there is no distillation"},
    ForeignSetting{"dis", "6", "there is no distillation"},
    ForeignSetting{"half", "", "--precision bf16 or int8 is what is quicker here"},
    ForeignSetting{"int8", "", "'marrow quantize' prepares a model for --precision int8"},
    ForeignSetting{"quantize", "32,fp32", "'marrow quantize' prepares a model for --precision int8"},
    ForeignSetting{"end2end", "", "'marrow predict' and 'marrow val' take it"},
    ForeignSetting{"dnn", "", "'marrow benchmark --runtime opencv' times OpenCV"},
    ForeignSetting{"source", "", "'marrow predict' takes it"},
    ForeignSetting{"vid_stride", "1", "pictures are read, one by one"},
    ForeignSetting{"stream_buffer", "", "pictures are read, one by one"},
    ForeignSetting{"visualize", "", "maps of features are not drawn"},
    ForeignSetting{"augment", "", "there is no augmentation while predicting"},
    ForeignSetting{"embed", "", "vectors of features are not written"},
    ForeignSetting{"show", "", "--save writes the images"},
    ForeignSetting{"save_frames", "", "pictures are read, one by one"},
    ForeignSetting{"save_txt", "", "'marrow predict' takes it"},
    ForeignSetting{"save_conf", "", "'marrow predict' takes it"},
    ForeignSetting{"save_crop", "", "'marrow predict' takes it"},
    ForeignSetting{"save_hybrid", "", "labels are not mixed into predictions"},
    ForeignSetting{"show_labels", "true", "names are always drawn"},
    ForeignSetting{"show_conf", "true", "confidences are always drawn"},
    ForeignSetting{"show_boxes", "true", "boxes are always drawn; --no-save draws nothing"},
    ForeignSetting{"hide_labels", "", "names are always drawn"},
    ForeignSetting{"hide_conf", "", "confidences are always drawn"},
    ForeignSetting{"boxes", "true", "boxes are always drawn"},
    ForeignSetting{"line_width", "", "lines are as wide as suits the image"},
    ForeignSetting{"line_thickness", "3", "lines are as wide as suits the image"},
    ForeignSetting{"format", "torchscript", "'marrow export' takes it"},
    ForeignSetting{"keras", "", "'marrow export' writes ONNX"},
    ForeignSetting{"optimize", "", "'marrow export' writes ONNX"},
    ForeignSetting{"dynamic", "", "'marrow export' takes it"},
    ForeignSetting{"simplify", "true", "exported graphs are simple"},
    ForeignSetting{"opset", "", "'marrow export' takes it"},
    ForeignSetting{"workspace", "4", "'marrow export' writes ONNX"},
    ForeignSetting{"nms", "", "'marrow predict --end2end' takes boxes without suppression"},
    ForeignSetting{"tracker", "botsort.yaml,tracktrack.yaml", "it is for tracking"},
    ForeignSetting{"crop_fraction", "1", "the model says how its pictures are cut"},
    ForeignSetting{"image_weights", "", "images are drawn alike"},
    ForeignSetting{"min_memory", "", "it saves memory on a GPU"},
    ForeignSetting{"fl_gamma", "0,1.5", "there is no focal loss of classes"},
    ForeignSetting{"v5loader", "", "there is one loader"},
    ForeignSetting{"cfg", "", "settings are read from one file"},
    ForeignSetting{"hydra", "*", "it says where another program keeps its files"},
    ForeignSetting{"save_dir", "*", "--project and --name say where a run goes"},
};

bool same_value(std::string_view a, std::string_view b) {
  const auto x = parse_number(a), y = parse_number(b);
  return x && y ? *x == *y : a == b;
}

}  // namespace

std::span<const ForeignSetting> foreign_settings() {
  return kForeignSettings;
}

const ForeignSetting* find_foreign_setting(std::string_view key) {
  const auto found = std::ranges::find(kForeignSettings, key, &ForeignSetting::key);
  return found == kForeignSettings.end() ? nullptr : &*found;
}

bool is_harmless(const ForeignSetting& setting, std::string_view value) {
  const std::string text = to_lower(value);
  if (setting.harmless == "*" || is_none(text) || text == "false") return true;
  std::string_view rest = setting.harmless;
  while (!rest.empty()) {
    const size_t comma = std::min(rest.find(','), rest.size());
    if (same_value(text, rest.substr(0, comma))) return true;
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return false;
}

}  // namespace marrow::train
