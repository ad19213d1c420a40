// Sizes in pixels. What is measured, an image or the network's input, is said by the name of the variable.
#pragma once

namespace marrow {

struct Size {
  int width = 0;
  int height = 0;
  bool operator==(const Size&) const = default;
};

}  // namespace marrow
