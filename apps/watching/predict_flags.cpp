#include "watching/predict_flags.h"

#include <fmt/format.h>

#include "marrow/base/class_numbers.h"
#include "marrow/base/error.h"
#include "support/open_model.h"

namespace marrow::cli {

void declare_frame_flags(Command& command, PredictFlags& flags) {
  command.option("--classes", &flags.classes, "Only these classes, by number or name, separated by commas")
      .type("CLASS,...")
      .without("all");
  command.flag(
      "--rect", &flags.rect,
      "Pad each image only to the next multiple of the stride; false, and a file of fixed size: to the "
      "full square");
  command.flag("--retina-masks", &flags.retina_masks,
               "Make masks at the image's size, finer than at the network's; segmentation only");
  command.flag("--save", &flags.save, "Write the images or videos with boxes drawn; detectors only");
  command.flag("--save-txt", &flags.save_txt,
               "Write labels/NAME.txt, of a video's frame NAME_FRAME.txt: class cx cy w h, normalised; "
               "outlines of masks, "
               "corners of turned boxes, keypoints behind the box");
  command.flag("--save-conf", &flags.save_conf, "Add the confidence to each line of --save-txt");
  command.flag("--save-crop", &flags.save_crop, "Write each detection's pixels to crops/CLASS/");
  command.flag("--save-frames", &flags.save_frames,
               "Write each frame of a video, too: NAME_frames/NAME_FRAME.jpg");
  command.option("--vid-stride", &flags.vid_stride, "Of a video or stream, see every so many frames")
      .range(1, 100000);
  command.flag("--stream-buffer", &flags.stream_buffer,
               "Of a stream or webcam, see up to 30 frames that came meanwhile; false: only the newest");
  add_run_folder(command, flags.folder);
  command.flag(
      "--json", &flags.as_json,
      "One line of JSON for each image or frame that could be read, on stdout; all else goes to stderr");
  add_foreign_file(command, flags.import);
  add_engine(command, flags.engine);
  add_deploy(command, flags.engine.deploy);
}

void declare_predict_flags(Command& command, PredictFlags& flags) {
  command.summary(
      "Find objects, their masks, keypoints or turned boxes in images and videos, or classify images");
  add_checkpoint(command, flags.model);
  command
      .option(
          "--source", &flags.source,
          "An image, a folder, a quoted pattern such as 'in/*.jpg', or a .txt that lists images; a video, "
          "a stream's URL, a webcam (0), or a .streams that lists them")
      .type("PATH")
      .required();
  add_image_size(command, flags.imgsz);
  add_tiles(command, flags.tiles);
  add_detection(command, &flags.confidence, flags.nms, flags.end2end);
  add_fast_decode(command, flags.fast_decode);
  declare_frame_flags(command, flags);
  command.flag(
      "--save-dota", &flags.save_dota,
      "Write predictions_txt/Task1_CLASS.txt, a line a turned box, as DOTA's server reads them; of images "
      "named "
      "as DOTA's tiles (IMAGE__WINDOW__X___Y) also predictions_merged_txt/, put together; images only");
  command.example("marrow predict yolov8n.pt --source aerial/ --tile 640 --overlap 0.2");
  command.example("marrow predict yolov8n.pt --source street.mp4 --vid-stride 2");
  command.example("marrow predict yolov8n.pt --source photos/ --conf 0.4 --classes person,dog --save-txt");
}

predict::DetectorOptions detector_options(const PredictFlags& flags, const model::Model& model) {
  if (flags.retina_masks && model.task != "segment")
    throw Error(ErrorKind::kUsage, fmt::format("{}: a model for '{}'; --retina-masks is for segmentation",
                                               flags.model, model.task));
  predict::DetectorOptions options;
  options.tiles = chosen_tiles(flags.tiles, flags.model, model);
  options.size = tiled_input_size(flags.model, model, flags.imgsz, options.tiles);
  options.rect = flags.rect && model.fixed_height == 0;
  options.engine = flags.engine;
  options.nms = flags.nms;
  if (flags.confidence)
    options.nms.confidence = static_cast<float>(*flags.confidence);
  else
    options.nms.class_confidence = model.thresholds;
  options.nms.suppress = !flags.end2end;
  options.masks = flags.retina_masks ? predict::MaskSize::kImage : predict::MaskSize::kInput;
  options.outlines = flags.save_txt || flags.as_json;
  options.nms.classes = class_numbers(flags.classes, model.names, "--classes");
  return options;
}

}  // namespace marrow::cli
