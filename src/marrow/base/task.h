// What a network finds in an image, and what its labels hence hold besides a class and a box.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace marrow {

enum class Task : uint8_t {
  kDetect,   // boxes
  kSegment,  // and the outline of every object
  kPose,     // and keypoints of every object
  kObb,      // boxes that are turned
};

// Of those above, as users write them: "detect", "segment", "pose", "obb".
inline std::vector<std::string> task_names() {
  return {"detect", "segment", "pose", "obb"};
}

inline std::string task_name(Task task) {
  return task_names()[static_cast<size_t>(task)];
}

inline std::optional<Task> task_named(std::string_view name) {
  for (const Task task : {Task::kDetect, Task::kSegment, Task::kPose, Task::kObb})
    if (task_name(task) == name) return task;
  return std::nullopt;
}

// Whose labels are outlines: polygons, from which a turned box follows too.
inline bool has_outlines(Task task) {
  return task == Task::kSegment || task == Task::kObb;
}

}  // namespace marrow
