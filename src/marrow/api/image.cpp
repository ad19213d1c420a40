#include "marrow/api/inside.h"
#include "marrow/image/decode.h"

namespace marrow::v0 {

Image::Image(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
Image::Image(const Image&) noexcept = default;
Image::Image(Image&&) noexcept = default;
Image& Image::operator=(const Image&) noexcept = default;
Image& Image::operator=(Image&&) noexcept = default;
Image::~Image() = default;

namespace {

// Of three channels of 8 bits.
constexpr ImageReading kPlain;

image::DecodedImage decoded(std::span<const std::byte> bytes, const ImageReading& reading) {
  if (bytes.data() == nullptr && !bytes.empty())
    throw Error(ErrorKind::kUsage, "the image's encoded bytes are a null pointer");
  if (bytes.size() > static_cast<size_t>(image::kMaxImageFileBytes))
    throw Error(ErrorKind::kUnsupported, std::to_string(bytes.size()) +
                                             " bytes of an encoded image; at most " +
                                             std::to_string(image::kMaxImageFileBytes) + " are read");
  return image::decode_image(bytes, "image", {.fit = {}, .reading = reading});
}

}  // namespace

Image Image::read(const std::filesystem::path& path) {
  return inside::guarded([&] {
    image::DecodedImage image = image::decode_image_file(path, {.fit = {}, .reading = kPlain});
    return Image(std::make_shared<const Impl>(Impl{std::move(image.image), std::move(image.warning)}));
  });
}

Image Image::read(const std::filesystem::path& path, const Model& model) {
  return inside::guarded([&] {
    const ImageReading reading = image_reading(model.impl().trained.model.graph);
    image::DecodedImage image = image::decode_image_file(path, {.fit = {}, .reading = reading});
    return Image(std::make_shared<const Impl>(Impl{std::move(image.image), std::move(image.warning)}));
  });
}

Image Image::decode(std::span<const std::byte> bytes) {
  return inside::guarded([&] {
    image::DecodedImage image = decoded(bytes, kPlain);
    return Image(std::make_shared<const Impl>(Impl{std::move(image.image), std::move(image.warning)}));
  });
}

Image Image::decode(std::span<const std::byte> bytes, const Model& model) {
  return inside::guarded([&] {
    image::DecodedImage image = decoded(bytes, image_reading(model.impl().trained.model.graph));
    return Image(std::make_shared<const Impl>(Impl{std::move(image.image), std::move(image.warning)}));
  });
}

const Image::Impl& Image::impl() const {
  return inside::checked(impl_, "Image");
}

int Image::width() const {
  return impl().pixels.width();
}

int Image::height() const {
  return impl().pixels.height();
}

const std::string& Image::warning() const {
  return impl().warning;
}

ImageView Image::view() const {
  const inside::LayerImage& pixels = impl().pixels;
  return {pixels.row(0), pixels.width(), pixels.height(), static_cast<std::ptrdiff_t>(pixels.row_bytes()),
          pixels.format() == SampleFormat() ? PixelFormat::kBgr : PixelFormat::kOwn};
}

}  // namespace marrow::v0
