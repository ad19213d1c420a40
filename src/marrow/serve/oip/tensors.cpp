#include "marrow/serve/oip/tensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "marrow/base/text.h"
#include "marrow/serve/pictures.h"

namespace marrow::serve {
namespace {

static_assert(std::endian::native == std::endian::little, "binary tensors are little-endian");

[[noreturn]] void refuse_input(const std::string& what) {
  throw HttpError(400, fmt::format("input '{}': {}", kInputName, what));
}

// Of the JSON in the body; nothing where all of it is JSON.
std::optional<size_t> json_length(const Head& head, size_t body) {
  const std::string* field = head.find(kInferenceHeader);
  if (field == nullptr) return {};
  if (head.count(kInferenceHeader) > 1)
    throw HttpError(400, "Inference-Header-Content-Length is given twice");
  const bool digits = !field->empty() && field->size() <= 18 &&
                      std::ranges::all_of(*field, [](char c) { return c >= '0' && c <= '9'; });
  if (!digits) throw HttpError(400, "Inference-Header-Content-Length is not a number of bytes");
  const size_t length = std::stoull(*field);
  if (length > body)
    throw HttpError(
        400, fmt::format("Inference-Header-Content-Length is {}, but the body has {} bytes", length, body));
  return length;
}

std::string shape_text(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

// The largest batch of the largest input.
size_t most_numbers(const Network& network, const InferLimits& limits) {
  const auto side = static_cast<size_t>(
      network.is_fixed() ? std::max(network.size().width, network.size().height) : network.max_side());
  return limits.batch * static_cast<size_t>(network.channels()) * side * side;
}

const InferInput& the_input(const InferRequest& request) {
  if (request.inputs.empty())
    throw HttpError(400, fmt::format("the request has no inputs; wanted is '{}'", kInputName));
  for (const InferInput& input : request.inputs)
    if (input.name != kInputName)
      throw HttpError(400,
                      fmt::format("unknown input '{}'; wanted is '{}'", printable(input.name), kInputName));
  if (request.inputs.size() > 1) throw HttpError(400, fmt::format("input '{}' is given twice", kInputName));
  return request.inputs.front();
}

void check_outputs(const InferRequest& request, const Network& network) {
  const std::vector<std::string>& known = network.output_names();
  for (const InferOutput& output : request.outputs) {
    if (std::ranges::find(known, output.name) == known.end())
      throw HttpError(
          400, fmt::format("unknown output '{}'; known: {}", printable(output.name), join(known, ", ")));
    if (std::ranges::count(request.outputs, output.name, &InferOutput::name) > 1)
      throw HttpError(400, fmt::format("output '{}' is asked for twice", output.name));
  }
}

bool fits(const std::vector<int64_t>& shape, const Network& network, const InferLimits& limits) {
  if (shape.size() != 4 || shape[0] < 1 || shape[0] > static_cast<int64_t>(limits.batch) ||
      shape[1] != network.channels())
    return false;
  if (network.is_fixed()) return shape[2] == network.size().height && shape[3] == network.size().width;
  return std::ranges::all_of(std::span(shape).last(2), [&](int64_t side) {
    return side >= network.stride() && side <= network.max_side() && side % network.stride() == 0;
  });
}

// The bytes behind the JSON that are the input's.
std::string_view binary_part(const InferInput& input, std::string_view binary,
                             std::optional<uint64_t> wanted) {
  // The only input may leave its size out.
  const uint64_t size = input.binary_size.value_or(binary.size());
  if (wanted && size != *wanted)
    refuse_input(fmt::format("binary_data_size is {}, but its shape wants {} bytes", size, *wanted));
  if (size != binary.size())
    refuse_input(
        fmt::format("{} bytes are behind the JSON, but binary_data_size is {}", binary.size(), size));
  return binary;
}

// One tensor a picture.
std::vector<Tensor> split(const float* values, const std::vector<int64_t>& shape, const Network& network) {
  std::vector<Tensor> pictures;
  for (int64_t i = 0; i < shape[0]; ++i) {
    Tensor picture = network.empty_input(shape[2], shape[3]);
    // Not through floats: the bytes of a body need not be aligned.
    std::memcpy(picture.bytes(),
                reinterpret_cast<const std::byte*>(values) + static_cast<size_t>(i) * picture.byte_size(),
                picture.byte_size());
    pictures.push_back(std::move(picture));
  }
  return pictures;
}

std::vector<Tensor> float_input(const InferInput& input, bool is_binary, std::string_view binary,
                                const Network& network, const InferLimits& limits,
                                const std::function<void(size_t)>& admit) {
  const std::vector<int64_t>& shape = *input.shape;
  if (!fits(shape, network, limits))
    throw HttpError(400, fmt::format("input '{}' has shape {}, expected {}", kInputName, shape_text(shape),
                                     wanted_shape(network, limits)));
  const auto elements = static_cast<size_t>(element_count(shape));  // which fit: every dimension is limited
  if (is_binary) {
    const std::string_view bytes = binary_part(input, binary, elements * sizeof(float));
    admit(static_cast<size_t>(shape[0]));
    return split(reinterpret_cast<const float*>(bytes.data()), shape, network);
  }
  if (input.data.size() != elements)
    refuse_input(fmt::format("shape {} wants {} numbers, data has {}", shape_text(shape), elements,
                             input.data.size()));
  admit(static_cast<size_t>(shape[0]));
  return split(input.data.data(), shape, network);
}

// Encoded pictures: each a length of four bytes, then its own bytes.
void read_pictures(InferCall& call, const InferInput& input, std::string_view binary, const Network& network,
                   const InferLimits& limits, const std::function<void(size_t)>& admit) {
  const std::vector<int64_t>& shape = *input.shape;
  const bool column = shape.size() == 2 && shape[1] == 1;
  if ((shape.size() != 1 && !column) || shape[0] < 1 || shape[0] > static_cast<int64_t>(limits.batch))
    throw HttpError(
        400, fmt::format("input '{}' of datatype BYTES has shape {}, expected [1..{}]: encoded pictures",
                         kInputName, shape_text(shape), limits.batch));
  std::string_view rest = binary_part(input, binary, {});
  std::vector<EncodedPicture> pictures;
  for (int64_t i = 0; i < shape[0]; ++i) {
    uint32_t length = 0;
    if (rest.size() < sizeof(length)) refuse_input(fmt::format("element {} of {} is missing", i, shape[0]));
    std::memcpy(&length, rest.data(), sizeof(length));
    rest.remove_prefix(sizeof(length));
    if (length > rest.size())
      refuse_input(fmt::format("element {} says it has {} bytes; {} are left", i, length, rest.size()));
    pictures.push_back({fmt::format("input '{}', element {}", kInputName, i), {}, rest.substr(0, length)});
    rest.remove_prefix(length);
  }
  if (!rest.empty()) refuse_input(fmt::format("{} bytes are left behind the last element", rest.size()));
  admit(pictures.size());
  for (const EncodedPicture& picture : pictures) {
    const image::DecodedImage decoded = decode_picture(picture, network, limits.pixels);
    call.inputs.push_back(network.fitted(decoded.image));
    if (!decoded.warning.empty()) call.warning += (call.warning.empty() ? "" : "; ") + decoded.warning;
  }
}

// The body is the only input's bytes: of one picture, where its size leaves no choice of a shape.
InferCall raw_call(std::string_view body, const Network& network, const std::function<void(size_t)>& admit) {
  if (!network.is_fixed())
    throw HttpError(
        400, fmt::format("a raw request needs an input whose shape follows from its size; that of '{}' is "
                         "[-1, {}, -1, -1]",
                         network.name(), network.channels()));
  const std::vector<int64_t> shape = {1, network.channels(), network.size().height, network.size().width};
  const auto bytes = static_cast<size_t>(element_count(shape)) * sizeof(float);
  if (body.size() != bytes)
    refuse_input(
        fmt::format("the raw body has {} bytes; shape {} wants {}", body.size(), shape_text(shape), bytes));
  admit(1);
  return {.request = {},
          .raw = true,
          .inputs = split(reinterpret_cast<const float*>(body.data()), shape, network),
          .warning = {}};
}

}  // namespace

std::string wanted_shape(const Network& network, const InferLimits& limits) {
  if (network.is_fixed())
    return fmt::format("[1..{}, {}, {}, {}]", limits.batch, network.channels(), network.size().height,
                       network.size().width);
  return fmt::format("[1..{}, {}, H, W] with H, W multiples of {}, at most {}", limits.batch,
                     network.channels(), network.stride(), network.max_side());
}

InferCall read_infer_call(const Head& head, std::string_view body, const Network& network,
                          const InferLimits& limits, const std::function<void(size_t)>& admit) {
  const std::optional<size_t> length = json_length(head, body.size());
  if (length && *length == 0) return raw_call(body, network, admit);
  const std::string_view json = body.substr(0, length.value_or(body.size()));
  const std::string_view binary = body.substr(json.size());
  InferCall call;
  call.request = parse_infer_request(json, most_numbers(network, limits));
  const InferInput& input = the_input(call.request);
  check_outputs(call.request, network);
  if (!input.shape) refuse_input("it has no shape");
  if (input.datatype != "FP32" && input.datatype != "BYTES")
    refuse_input(fmt::format("its datatype is '{}'; wanted is FP32, or BYTES with encoded pictures",
                             printable(input.datatype, 20)));
  if (input.has_data && input.binary_size)
    refuse_input("it has data and binary_data_size; one of them has to go");
  const bool is_binary = input.binary_size || (!input.has_data && !binary.empty());
  if (!is_binary && !input.has_data) refuse_input("it has neither data nor binary_data_size");
  if (!is_binary && !binary.empty())
    throw HttpError(400, fmt::format("{} bytes are behind the JSON, and no input is binary", binary.size()));
  if (input.datatype == "BYTES" && !is_binary) refuse_input("BYTES are sent as binary data, not in JSON");
  if (input.datatype == "BYTES")
    read_pictures(call, input, binary, network, limits, admit);
  else
    call.inputs = float_input(input, is_binary, binary, network, limits, admit);
  call.request.inputs.front().data = {};
  return call;
}

}  // namespace marrow::serve
