#include "marrow/serve/oip/request.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "marrow/base/text.h"
#include "marrow/serve/http/message.h"

namespace marrow::serve {
namespace {

constexpr size_t kMostTensors = 64, kMostDimensions = 16;

[[noreturn]] void refuse(const std::string& what) {
  throw HttpError(400, what);
}

// nlohmann's reader does not recurse; it calls one of these for every token.
class InferReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  InferReader(InferRequest& request, size_t most_numbers) : request_(request), most_numbers_(most_numbers) {}

  bool null() override { return other("null"); }
  bool boolean(bool value) override;
  bool number_integer(number_integer_t value) override { return number(static_cast<double>(value), {}); }
  bool number_unsigned(number_unsigned_t value) override { return number(static_cast<double>(value), value); }
  bool number_float(number_float_t value, const string_t&) override { return number(value, {}); }
  bool string(string_t& value) override;
  bool binary(binary_t&) override { return other("bytes"); }
  bool start_object(std::size_t) override;
  bool key(string_t& value) override;
  bool end_object() override { return end(); }
  bool start_array(std::size_t) override;
  bool end_array() override { return end(); }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    refuse(fmt::format("the request is no JSON: at byte {}: {}", position, printable(cause(error.what()))));
  }

 private:
  // What the value that is open is.
  enum class In {
    kRequest,
    kParameters,
    kInputs,
    kInput,
    kInputParameters,
    kShape,
    kData,
    kOutputs,
    kOutput,
    kOutputParameters,
    kIgnored
  };
  struct Level {
    In in;
    std::set<std::string> seen = {};  // known keys
  };

  // "parse error at line 1, column 2: syntax error ..." without what is said already.
  static std::string cause(const std::string& text) {
    const size_t colon = text.find("syntax error");
    return colon == std::string::npos ? text.substr(std::min(text.find("] ") + 2, text.size()))
                                      : text.substr(colon);
  }

  bool number(double value, std::optional<uint64_t> whole);
  bool other(const char* found);
  bool end();
  void open(In in);
  // Where the value that begins stands: "inputs[0].shape".
  std::string place() const;
  In in() const { return levels_.empty() ? In::kIgnored : levels_.back().in; }
  [[noreturn]] void wanted(const char* what, const std::string& found) const {
    refuse(fmt::format("{}: wanted {}, found {}", place(), what, found));
  }
  void refuse_parameter() const;

  InferRequest& request_;
  size_t most_numbers_;
  size_t numbers_ = 0;
  std::vector<Level> levels_;
  std::string key_;
};

std::string InferReader::place() const {
  const std::string input =
      fmt::format("inputs[{}]", request_.inputs.empty() ? 0 : request_.inputs.size() - 1);
  const std::string output =
      fmt::format("outputs[{}]", request_.outputs.empty() ? 0 : request_.outputs.size() - 1);
  const std::string key = printable(key_, 40);
  switch (in()) {
    case In::kRequest:
      return key;
    case In::kParameters:
      return "parameters." + key;
    case In::kInputs:
      return "inputs";
    case In::kInput:
      return input + "." + key;
    case In::kInputParameters:
      return input + ".parameters." + key;
    case In::kShape:
      return input + ".shape";
    case In::kData:
      return input + ".data";
    case In::kOutputs:
      return "outputs";
    case In::kOutput:
      return output + "." + key;
    case In::kOutputParameters:
      return output + ".parameters." + key;
    case In::kIgnored:
      break;
  }
  return "the request";
}

bool InferReader::key(string_t& value) {
  static const std::set<std::string> kKnown = {
      "id",   "inputs",      "outputs",          "parameters",        "name", "datatype", "shape",
      "data", "binary_data", "binary_data_size", "binary_data_output"};
  key_ = value;
  if (in() != In::kIgnored && kKnown.contains(key_) && !levels_.back().seen.insert(key_).second)
    refuse(place() + ": given twice");
  refuse_parameter();
  return true;
}

void InferReader::refuse_parameter() const {
  const bool parameter =
      in() == In::kParameters || in() == In::kInputParameters || in() == In::kOutputParameters;
  if (parameter && (key_ == "shared_memory_region" || key_ == "classification"))
    refuse(place() + ": this server has no such extension");
}

void InferReader::open(In in) {
  if (levels_.size() == kMostNesting) refuse(fmt::format("the JSON is nested deeper than {}", kMostNesting));
  levels_.push_back({in});
}

bool InferReader::start_object(std::size_t) {
  if (levels_.empty()) {
    open(In::kRequest);
    return true;
  }
  switch (in()) {
    case In::kInputs:
      if (request_.inputs.size() == kMostTensors) refuse(fmt::format("more than {} inputs", kMostTensors));
      request_.inputs.emplace_back();
      open(In::kInput);
      return true;
    case In::kOutputs:
      if (request_.outputs.size() == kMostTensors) refuse(fmt::format("more than {} outputs", kMostTensors));
      request_.outputs.emplace_back();
      open(In::kOutput);
      return true;
    case In::kRequest:
    case In::kInput:
    case In::kOutput:
      if (key_ != "parameters") break;
      open(in() == In::kRequest ? In::kParameters
           : in() == In::kInput ? In::kInputParameters
                                : In::kOutputParameters);
      return true;
    default:
      break;
  }
  other("an object");
  open(In::kIgnored);
  return true;
}

bool InferReader::start_array(std::size_t) {
  if (in() == In::kData) {
    open(In::kData);
    return true;
  }
  if (in() == In::kRequest && (key_ == "inputs" || key_ == "outputs")) {
    open(key_ == "inputs" ? In::kInputs : In::kOutputs);
    return true;
  }
  if (in() == In::kInput && key_ == "shape") {
    request_.inputs.back().shape.emplace();
    open(In::kShape);
    return true;
  }
  if (in() == In::kInput && key_ == "data") {
    request_.inputs.back().has_data = true;
    open(In::kData);
    return true;
  }
  other("an array");
  open(In::kIgnored);
  return true;
}

bool InferReader::end() {
  levels_.pop_back();
  return true;
}

bool InferReader::boolean(bool value) {
  if (in() == In::kOutputParameters && key_ == "binary_data") {
    request_.outputs.back().binary = value;
    return true;
  }
  if (in() == In::kParameters && key_ == "binary_data_output") {
    request_.binary_outputs = value;
    return true;
  }
  return other("a truth value");
}

bool InferReader::number(double value, std::optional<uint64_t> whole) {
  if (in() == In::kData) {
    if (++numbers_ > most_numbers_)
      refuse(fmt::format("{}: more than {} numbers, which is more than any input of this model has", place(),
                         most_numbers_));
    const auto rounded = static_cast<float>(value);
    if (!std::isfinite(rounded)) refuse(place() + ": a number is beyond FP32");
    request_.inputs.back().data.push_back(rounded);
    return true;
  }
  if (in() == In::kShape) {
    std::vector<int64_t>& shape = *request_.inputs.back().shape;
    if (!whole || *whole > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      wanted("non-negative integers", "another number");
    if (shape.size() == kMostDimensions)
      refuse(fmt::format("{}: more than {} dimensions", place(), kMostDimensions));
    shape.push_back(static_cast<int64_t>(*whole));
    return true;
  }
  if (in() == In::kInputParameters && key_ == "binary_data_size") {
    if (!whole) wanted("a non-negative integer", "another number");
    request_.inputs.back().binary_size = *whole;
    return true;
  }
  return other("a number");
}

bool InferReader::string(string_t& value) {
  if (in() == In::kRequest && key_ == "id") {
    request_.id = value;
  } else if (in() == In::kInput && key_ == "name") {
    request_.inputs.back().name = value;
  } else if (in() == In::kInput && key_ == "datatype") {
    request_.inputs.back().datatype = value;
  } else if (in() == In::kOutput && key_ == "name") {
    request_.outputs.back().name = value;
  } else {
    return other("a text");
  }
  return true;
}

// A value of a kind that is wanted nowhere: an error where another is wanted, ignored elsewhere.
bool InferReader::other(const char* found) {
  if (levels_.empty()) refuse(std::string("the request is ") + found + "; wanted is an object");
  switch (in()) {
    case In::kRequest:
      if (key_ == "id") wanted("a text", found);
      if (key_ == "inputs" || key_ == "outputs") wanted("an array", found);
      if (key_ == "parameters") wanted("an object", found);
      break;
    case In::kInput:
      if (key_ == "name" || key_ == "datatype") wanted("a text", found);
      if (key_ == "shape" || key_ == "data") wanted("an array", found);
      if (key_ == "parameters") wanted("an object", found);
      break;
    case In::kOutput:
      if (key_ == "name") wanted("a text", found);
      if (key_ == "parameters") wanted("an object", found);
      break;
    case In::kInputs:
    case In::kOutputs:
      wanted("objects", found);
    case In::kShape:
      wanted("non-negative integers", found);
    case In::kData:
      wanted("numbers; BYTES are sent as binary data", found);
    case In::kInputParameters:
      if (key_ == "binary_data_size") wanted("a non-negative integer", found);
      break;
    case In::kOutputParameters:
      if (key_ == "binary_data") wanted("true or false", found);
      break;
    case In::kParameters:
      if (key_ == "binary_data_output") wanted("true or false", found);
      break;
    case In::kIgnored:
      break;
  }
  return true;
}

}  // namespace

InferRequest parse_infer_request(std::string_view text, size_t most_numbers) {
  InferRequest request;
  InferReader reader(request, most_numbers);
  nlohmann::json::sax_parse(text.begin(), text.end(), &reader);
  return request;
}

}  // namespace marrow::serve
