#include "watching/track_flags.h"

#include "marrow/track/tracker_settings.h"

namespace marrow::cli {
namespace {

// As `yolo track` has it: trackers make use of weak detections.
constexpr float kTrackConfidence = 0.1f;

}  // namespace

void declare_track_flags(Command& command, TrackFlags& flags) {
  PredictFlags& frames = flags.frames;
  frames.folder.name = "track";
  frames.nms.confidence = kTrackConfidence;
  command.summary("Follow objects through a video or a folder of frames, and count them");
  command
      .option("--model", &frames.model, "Checkpoint: .safetensors, .pt, .pth, .pth.tar, .pdparams or .onnx")
      .or_place("MODEL")
      .without("--detections are followed");
  command
      .option("--source", &frames.source,
              "A video, a folder of frames, a quoted pattern such as 'in/*.jpg', a stream's URL, a webcam "
              "(0), or "
              "a .streams that lists them")
      .type("PATH")
      .without("only --detections are read");
  command
      .option("--detections", &flags.detections,
              "Recorded detections in place of a model: MOT text, frame,-1,left,top,width,height,score")
      .type("FILE")
      .without("the model finds them");
  command
      .option("--tracker", &flags.tracker,
              "How objects are followed: botsort.yaml, bytetrack.yaml, or a YAML file with their keys")
      .type("NAME|FILE");
  command
      .option(
          "--line", &flags.lines,
          "Count who crosses this line, in both directions: x1,y1,x2,y2 in pixels, or NAME=x1,y1,x2,y2; may "
          "be given again")
      .type("LINE")
      .once_each()
      .without("no line");
  command
      .option("--zone", &flags.zones,
              "Count who is in this zone: x1,y1,x2,y2,x3,y3,... or NAME=x1,y1,...; may be given again")
      .type("ZONE")
      .once_each()
      .without("no zone");
  command
      .option("--mot", &flags.mot,
              "Write the tracks as MOT text: frame,id,left,top,width,height,score,-1,-1,-1")
      .type("FILE")
      .without("not written");
  command
      .option("--eval", &flags.truth, "Compare the tracks with this ground truth, MOT text: MOTA, IDF1, HOTA")
      .type("FILE")
      .without("not compared");
  add_image_size(command, frames.imgsz);
  add_tiles(command, frames.tiles);
  add_detection(command, &frames.nms.confidence, frames.nms, frames.end2end);
  declare_frame_flags(command, frames);
  command.example("marrow track --detections det.txt --tracker bytetrack.yaml --eval gt.txt");
  command.example("marrow track yolov8n.pt --source street.mp4 --line door=100,400,900,400 --json");
}

}  // namespace marrow::cli
