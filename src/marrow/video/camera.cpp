// Webcams by Video4Linux's own calls, without a library.
#include <fcntl.h>
#include <fmt/core.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>

#include "marrow/base/error.h"
#include "marrow/base/stopwatch.h"
#include "marrow/image/decode.h"
#include "marrow/video/frame_reader.h"
#include "marrow/video/yuyv.h"

namespace marrow::video {
namespace {

constexpr uint32_t kBuffers = 4;
constexpr uint32_t kWantedWidth = 1280, kWantedHeight = 720;  // the driver takes the nearest
constexpr int kLookMs = 100;

class Camera : public FrameReader {
 public:
  Camera(const std::string& source, const ReadOptions& options)
      : device_(source.starts_with('/') ? source : "/dev/video" + source), options_(options) {
    file_ = ::open(device_.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (file_ < 0)
      throw Error(ErrorKind::kFile,
                  fmt::format("{}: the webcam cannot be opened: {}", device_, std::strerror(errno)));
    try {
      begin();
    } catch (...) {
      end();
      throw;
    }
  }
  ~Camera() override { end(); }
  Camera(const Camera&) = delete;
  Camera& operator=(const Camera&) = delete;

  std::optional<VideoFrame> next() override {
    const Stopwatch waited;
    while (options_.stop == nullptr || !*options_.stop) {
      if (waited.seconds() > options_.read_seconds)
        throw Error(ErrorKind::kFile,
                    fmt::format("{}: nothing came for {:g} seconds", device_, options_.read_seconds));
      pollfd ready = {file_, POLLIN, 0};
      if (::poll(&ready, 1, kLookMs) <= 0) continue;
      v4l2_buffer buffer = empty_buffer();
      if (::ioctl(file_, VIDIOC_DQBUF, &buffer) != 0) {
        if (errno == EAGAIN || errno == EINTR || errno == EIO) continue;
        fail("gives no pictures");
      }
      std::optional<VideoFrame> frame = read(buffer);
      if (::ioctl(file_, VIDIOC_QBUF, &buffer) != 0) fail("gives no more pictures");
      if (frame) return frame;
    }
    return {};
  }

  double frame_rate() const override { return frame_rate_; }
  int64_t broken_packets() const override { return broken_; }

 private:
  struct Mapped {
    void* start = MAP_FAILED;
    size_t bytes = 0;
  };

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorKind::kFile, fmt::format("{}: the webcam {}: {}", device_, what, std::strerror(errno)));
  }

  static v4l2_buffer empty_buffer() {
    v4l2_buffer buffer = {};
    buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    buffer.memory = V4L2_MEMORY_MMAP;
    return buffer;
  }

  void begin() {
    v4l2_capability can = {};
    if (::ioctl(file_, VIDIOC_QUERYCAP, &can) != 0)
      throw Error(ErrorKind::kUnsupported, fmt::format("{}: not a webcam", device_));
    const uint32_t abilities =
        (can.capabilities & V4L2_CAP_DEVICE_CAPS) != 0 ? can.device_caps : can.capabilities;
    if ((abilities & V4L2_CAP_VIDEO_CAPTURE) == 0 || (abilities & V4L2_CAP_STREAMING) == 0)
      throw Error(ErrorKind::kUnsupported, fmt::format("{}: the device gives no pictures", device_));
    choose_format();
    v4l2_streamparm parameters = {};
    parameters.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    if (::ioctl(file_, VIDIOC_G_PARM, &parameters) == 0) {
      const v4l2_fract& interval = parameters.parm.capture.timeperframe;
      if (interval.numerator > 0)
        frame_rate_ = sensible_rate(double(interval.denominator) / interval.numerator);
    }
    map_buffers();
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    if (::ioctl(file_, VIDIOC_STREAMON, &type) != 0) fail("does not start");
  }

  void choose_format() {
    for (const uint32_t kind : {V4L2_PIX_FMT_MJPEG, V4L2_PIX_FMT_YUYV}) {
      v4l2_format format = {};
      format.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
      format.fmt.pix.width = kWantedWidth;
      format.fmt.pix.height = kWantedHeight;
      format.fmt.pix.pixelformat = kind;
      if (::ioctl(file_, VIDIOC_S_FMT, &format) != 0 || format.fmt.pix.pixelformat != kind) continue;
      width_ = static_cast<int>(format.fmt.pix.width);
      height_ = static_cast<int>(format.fmt.pix.height);
      row_bytes_ = format.fmt.pix.bytesperline;
      jpeg_ = kind == V4L2_PIX_FMT_MJPEG;
      return;
    }
    throw Error(ErrorKind::kUnsupported, fmt::format("{}: the webcam gives neither JPEGs nor YUYV", device_));
  }

  void map_buffers() {
    v4l2_requestbuffers request = {};
    request.count = kBuffers;
    request.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    request.memory = V4L2_MEMORY_MMAP;
    if (::ioctl(file_, VIDIOC_REQBUFS, &request) != 0 || request.count == 0) fail("has no buffers");
    for (uint32_t i = 0; i < std::min(request.count, kBuffers); ++i) {
      v4l2_buffer buffer = empty_buffer();
      buffer.index = i;
      if (::ioctl(file_, VIDIOC_QUERYBUF, &buffer) != 0) fail("has no buffers");
      mapped_[i] = {
          ::mmap(nullptr, buffer.length, PROT_READ | PROT_WRITE, MAP_SHARED, file_, buffer.m.offset),
          buffer.length};
      if (mapped_[i].start == MAP_FAILED) fail("has no buffers");
      if (::ioctl(file_, VIDIOC_QBUF, &buffer) != 0) fail("has no buffers");
    }
  }

  void end() {
    for (Mapped& mapped : mapped_)
      if (mapped.start != MAP_FAILED) ::munmap(mapped.start, mapped.bytes);
    ::close(file_);  // which ends the stream
  }

  // Nothing where the picture is broken.
  std::optional<VideoFrame> read(const v4l2_buffer& buffer) {
    const double stamp = double(buffer.timestamp.tv_sec) + double(buffer.timestamp.tv_usec) * 1e-6;
    if (!first_stamp_) first_stamp_ = stamp;
    const bool wanted = number_++ % options_.stride == 0;
    if (!wanted) return {};
    if ((buffer.flags & V4L2_BUF_FLAG_ERROR) != 0 || buffer.index >= kBuffers) return broken();
    const Mapped& mapped = mapped_[buffer.index];
    if (mapped.start == MAP_FAILED) return broken();
    const std::span bytes(static_cast<const std::byte*>(mapped.start),
                          std::min<size_t>(buffer.bytesused, mapped.bytes));
    try {
      image::Image picture =
          jpeg_ ? image::decode_image(bytes, device_).image : bgr_of_yuyv(bytes, width_, height_, row_bytes_);
      return VideoFrame{std::move(picture), number_, stamp - *first_stamp_};
    } catch (const Error&) {
      return broken();
    }
  }

  std::optional<VideoFrame> broken() {
    ++broken_;
    return {};
  }

  std::string device_;
  ReadOptions options_;
  int file_ = -1;
  std::array<Mapped, kBuffers> mapped_;
  int width_ = 0, height_ = 0;
  size_t row_bytes_ = 0;
  bool jpeg_ = false;
  double frame_rate_ = kDefaultRate;
  std::optional<double> first_stamp_;
  int64_t number_ = 0, broken_ = 0;
};

}  // namespace

std::unique_ptr<FrameReader> open_camera(const std::string& source, const ReadOptions& options) {
  return std::make_unique<Camera>(source, options);
}

}  // namespace marrow::video
