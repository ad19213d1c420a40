// The JSON of an inference request of the Open Inference Protocol, read in one pass and with bounded memory:
// numbers of "data" go straight into floats, and nesting costs nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace marrow::serve {

struct InferInput {
  std::string name;
  std::string datatype;
  std::optional<std::vector<int64_t>> shape;
  std::optional<uint64_t> binary_size;  // bytes behind the JSON
  bool has_data = false;
  std::vector<float> data;  // flat, however it was nested
};

struct InferOutput {
  std::string name;
  std::optional<bool> binary;
};

struct InferRequest {
  std::optional<std::string> id;
  bool binary_outputs = false;  // where an output itself says nothing
  std::vector<InferInput> inputs;
  std::vector<InferOutput> outputs;  // none: all
};

inline constexpr int kMostNesting = 100;

// Throws HttpError{400}: for what is no JSON, for known fields of another type or given twice, for nesting
// beyond kMostNesting, for more than `most_numbers` numbers, for numbers beyond FP32, and by name for what
// is not served (shared memory, classification). Unknown fields are ignored.
InferRequest parse_infer_request(std::string_view json, size_t most_numbers);

}  // namespace marrow::serve
