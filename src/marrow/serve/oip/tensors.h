// What an inference request brings and what its response carries, as tensors.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "marrow/serve/http/message.h"
#include "marrow/serve/network.h"
#include "marrow/serve/oip/request.h"

namespace marrow::serve {

inline constexpr const char* kInputName = "images";
inline constexpr const char* kInferenceHeader = "inference-header-content-length";

struct InferCall {
  InferRequest request;
  bool raw = false;            // the body is the input alone
  std::vector<Tensor> inputs;  // (1, C, H, W), of each picture
  std::string warning;         // of damaged pictures, "; " between them
};

// Of a request's head and unpacked body. `admit` is told the number of pictures before they are copied or
// decoded, and may throw. Throws HttpError{400} for what does not fit the model, with what it wants; 413 for
// pictures of too many pixels.
InferCall read_infer_call(const Head& head, std::string_view body, const Network& network,
                          const InferLimits& limits, const std::function<void(size_t)>& admit);

// Whether an input of this model takes "[1..16, 3, H, W] with H, W multiples of 32": for messages.
std::string wanted_shape(const Network& network, const InferLimits& limits);

// `outputs` of the pictures in turn. A warning is the response's parameter of that name.
Response infer_response(const InferCall& call, const Network& network, const std::vector<Outputs>& outputs);

}  // namespace marrow::serve
