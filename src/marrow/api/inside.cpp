#include "marrow/api/inside.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <new>

#include "marrow/image/convert.h"
#include "marrow/image/decode.h"

namespace marrow::v0 {

const char* version() noexcept {
  return MARROW_VERSION;
}

Error::Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
Error::Error(const Error&) noexcept = default;
Error& Error::operator=(const Error&) noexcept = default;
Error::~Error() = default;

namespace inside {
namespace {

ErrorKind public_kind(marrow::ErrorKind kind) {
  switch (kind) {
    case marrow::ErrorKind::kUsage:
      return ErrorKind::kUsage;
    case marrow::ErrorKind::kFile:
      return ErrorKind::kFile;
    case marrow::ErrorKind::kFormat:
      return ErrorKind::kFormat;
    case marrow::ErrorKind::kShape:  // a network whose tensors do not meet at this input
    case marrow::ErrorKind::kModel:
      return ErrorKind::kModel;
    case marrow::ErrorKind::kUnsupported:
      return ErrorKind::kUnsupported;
  }
  return ErrorKind::kOther;
}

int channels_of(PixelFormat format) {
  switch (format) {
    case PixelFormat::kRgb:
    case PixelFormat::kBgr:
      return 3;
    case PixelFormat::kGray:
      return 1;
    case PixelFormat::kOwn:
      break;
  }
  throw Error(ErrorKind::kUsage, fmt::format("pixel format {}: no such format", static_cast<int>(format)));
}

void copy_row(const uint8_t* from, PixelFormat format, int width, uint8_t* bgr) {
  if (format == PixelFormat::kBgr) {
    std::copy_n(from, static_cast<size_t>(width) * 3, bgr);
    return;
  }
  const int step = format == PixelFormat::kGray ? 1 : 3;
  const int blue = format == PixelFormat::kGray ? 0 : 2;
  for (int x = 0; x < width; ++x, from += step, bgr += 3) {
    bgr[0] = from[blue];
    bgr[1] = from[blue / 2];
    bgr[2] = from[0];
  }
}

std::string fixed_text(LayerSize fixed) {
  const auto side = [](int pixels) { return pixels > 0 ? std::to_string(pixels) : "any"; };
  return side(fixed.width) + " x " + side(fixed.height);
}

}  // namespace

void rethrow() {
  try {
    throw;
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const LayerError& error) {
    throw Error(public_kind(error.kind()), error.what());
  } catch (const std::exception& error) {
    throw Error(ErrorKind::kOther, error.what());
  }
}

LayerImage copy_view(const ImageView& view, const ImageReading& wanted) {
  const SampleFormat& samples = wanted.samples;
  const bool own = view.format == PixelFormat::kOwn;
  const auto pixel_bytes =
      static_cast<ptrdiff_t>(own ? samples.pixel_bytes() : static_cast<size_t>(channels_of(view.format)));
  if (view.data == nullptr) throw Error(ErrorKind::kUsage, "the image's data is a null pointer");
  if (view.width < 1 || view.height < 1 || view.width > image::kMaxImageSide ||
      view.height > image::kMaxImageSide ||
      static_cast<int64_t>(view.width) * view.height > image::kMaxImagePixels)
    throw Error(
        ErrorKind::kUsage,
        fmt::format("an image of {} x {} pixels; wanted 1 to {} a side, and at most {} million in all",
                    view.width, view.height, image::kMaxImageSide, image::kMaxImagePixels / 1'000'000));
  const auto row = static_cast<ptrdiff_t>(view.width) * pixel_bytes;
  const ptrdiff_t stride = view.stride == 0 ? row : view.stride;
  if (stride > -row && stride < row)
    throw Error(ErrorKind::kUsage,
                fmt::format("a stride of {} bytes; a row of {} pixels has {}", view.stride, view.width, row));
  const ptrdiff_t most = std::numeric_limits<ptrdiff_t>::max() / view.height;
  if (stride > most || stride < -most)
    throw Error(ErrorKind::kUsage, fmt::format("a stride of {} bytes: {} such rows do not fit into memory",
                                               view.stride, view.height));
  if (own) {
    // The rows of an Image touch: others were read for another model.
    if (view.stride != row || samples == SampleFormat())
      throw Error(
          ErrorKind::kUsage,
          fmt::format("an image that was read for another model; this one wants {}", to_string(wanted)));
    return image::copy_image(
        {view.data, view.width, view.height, samples.channels, static_cast<size_t>(row), samples.bits});
  }
  const bool grey = samples == SampleFormat{1, 8};
  if (samples != SampleFormat() && !grey)
    throw Error(
        ErrorKind::kUsage,
        fmt::format("pixels of 3 channels of 8 bits or of grey; this model wants {}, from a file that is "
                    "read for it",
                    to_string(wanted)));
  LayerImage image(view.width, view.height);
  for (int y = 0; y < view.height; ++y)
    copy_row(view.data + y * stride, view.format, view.width, image.row(y));
  if (grey) return image::to_grey(image);
  return image;
}

LayerEngineOptions engine_options(const EngineOptions& options) {
  LayerEngineOptions engine;
  engine.threads = options.threads;  // the engine checks it
  engine.autotune = options.tune;
  switch (options.precision) {
    case Precision::kFloat32:
      engine.precision = LayerPrecision::kFloat32;
      return engine;
    case Precision::kBfloat16:
      engine.precision = LayerPrecision::kBfloat16;
      return engine;
    case Precision::kInt8:
      engine.precision = LayerPrecision::kInt8;
      return engine;
  }
  throw Error(ErrorKind::kUsage,
              fmt::format("precision {}: no such precision", static_cast<int>(options.precision)));
}

LayerSize input_size(const std::string& file, const LayerModel& model, int width, int height) {
  constexpr int kLargest = 16384;
  for (const int side : {width, height})
    if (side < 0 || side > kLargest)
      throw Error(ErrorKind::kUsage,
                  fmt::format("an input of {} x {} pixels; wanted 1 to {} a side, or 0 for the model's own",
                              width, height, kLargest));
  if (width == 0) width = height;
  if (height == 0) height = width;
  const LayerSize fixed = {model.fixed_width, model.fixed_height};
  if ((fixed.width > 0 && fixed.width != width) || (fixed.height > 0 && fixed.height != height))
    throw Error(ErrorKind::kUsage, fmt::format("an input of {} x {} pixels: the network in {} is fixed at {}",
                                               width, height, file, fixed_text(fixed)));
  return {width, height};
}

}  // namespace inside
}  // namespace marrow::v0
