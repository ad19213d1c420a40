#include "marrow/geometry/sample_format.h"

namespace marrow {

std::string to_string(const SampleFormat& format) {
  return std::to_string(format.channels) + (format.channels == 1 ? " channel of " : " channels of ") +
         std::to_string(format.bits) + " bits";
}

std::string to_string(const ImageReading& reading) {
  std::string text = to_string(reading.samples);
  if (reading.range != SampleRange())
    text += " from " + std::to_string(reading.range.low) + " to " + std::to_string(reading.range.high);
  return text;
}

}  // namespace marrow
