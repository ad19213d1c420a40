// Words that users of Ultralytics' `yolo` and of YOLOv5's scripts are used to.
#pragma once

#include "command_line/command_line.h"

namespace marrow::cli {

// `marrow detect predict model=x.pt`, `marrow task=detect mode=predict ...`, --img, --weights, --conf-thres,
// ... mean what they mean there where a command has such an option, and get an answer where it has none.
void add_habits(Command& program);

}  // namespace marrow::cli
