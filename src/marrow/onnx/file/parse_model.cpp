#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/onnx/file/proto.h"
#include "marrow/onnx/file/proto_numbers.h"
#include "marrow/onnx/file/wire.h"

namespace marrow::onnx {
namespace {

// Far beyond every real network; each costs memory that its few bytes in the file do not pay for.
constexpr size_t kMaxNodes = 20'000;
constexpr size_t kMaxNodeValues = 10'000;  // inputs and outputs of one node, or of the graph
constexpr size_t kMaxEntries = 10'000;     // of metadata

std::string text_of(const WireField& field, std::string_view what) {
  return std::string(field.text(what));
}

// Reads `bytes` as numbers of type From, little-endian, into the elements of `to`.
template <class From, class To>
void copy_numbers(std::string_view bytes, Tensor& to) {
  auto* out = reinterpret_cast<To*>(to.bytes());
  for (size_t i = 0; i < bytes.size() / sizeof(From); ++i) {
    From value;
    std::memcpy(&value, bytes.data() + i * sizeof(From), sizeof(From));
    out[i] = static_cast<To>(value);
  }
}

void copy_integers(const std::vector<int64_t>& from, Tensor& to) {
  std::byte* out = to.bytes();
  const size_t size = item_size(to.dtype());
  for (const int64_t value : from) {
    std::memcpy(out, &value, size);  // little-endian: the low bytes come first
    out += size;
  }
}

class TensorReader {
 public:
  TensorProto read(std::string_view message) {
    WireReader reader(message);
    while (const auto field = reader.next()) take(*field);
    const std::string named = fmt::format("tensor '{}'", printable(result_.name));
    if (external_)
      fail_unsupported(named +
                       " keeps its data in another file; models of one file are read. ONNX's "
                       "save_model(..., save_as_external_data=False) makes one");
    if (strings_) fail_unsupported(named + " holds text");
    const auto dtype = dtype_of_element(element_);
    if (!dtype)
      fail_unsupported(fmt::format("{} has element type {}, which Marrow does not read", named, element_));
    if (dims_.size() > kMaxRank) fail_format(fmt::format("{} has {} dimensions", named, dims_.size()));
    int64_t count = 0;
    try {
      count = element_count(dims_);
    } catch (const Error& error) {
      fail_format(fmt::format("{}: {}", named, error.what()));
    }
    const size_t bytes = static_cast<size_t>(count) * item_size(*dtype);
    fill(*dtype, static_cast<size_t>(count), bytes, named);
    return std::move(result_);
  }

 private:
  void take(const WireField& field) {
    constexpr std::string_view kWhat = "a tensor";
    switch (field.id) {
      case tensor_field::kDims:
        append_integers(field, kWhat, dims_);
        break;
      case tensor_field::kDataType:
        element_ = field.integer(kWhat);
        break;
      case tensor_field::kName:
        result_.name = text_of(field, kWhat);
        break;
      case tensor_field::kRawData:
        raw_ = field.text(kWhat);
        break;
      case tensor_field::kFloatData:
        take_words(field, WireType::kFixed32, floats_);
        break;
      case tensor_field::kDoubleData:
        take_words(field, WireType::kFixed64, doubles_);
        break;
      case tensor_field::kInt32Data:
      case tensor_field::kInt64Data:
        append_integers(field, kWhat, integers_);
        break;
      case tensor_field::kStringData:
        strings_ = true;
        break;
      case tensor_field::kSegment:
      case tensor_field::kUint64Data:
        fail_unsupported("a tensor in segments or of unsigned words is not read");
      case tensor_field::kExternalData:
        external_ = true;
        break;
      case tensor_field::kDataLocation:
        external_ = external_ || field.integer(kWhat) != 0;
        break;
      default:
        break;
    }
  }

  // Packed words are a view of the file; single ones, an old spelling, are collected.
  static void take_words(const WireField& field, WireType single, std::string& words) {
    if (field.type == single)
      words.append(reinterpret_cast<const char*>(&field.number), single == WireType::kFixed32 ? 4 : 8);
    else
      words.append(field.text("a tensor"));
  }

  void expect(size_t found, size_t wanted, const std::string& named) const {
    if (found != wanted)
      fail_format(fmt::format("{} is {}, {} of data, but {} are in the file", named, to_string(dims_), wanted,
                              found));
  }

  void fill(DType dtype, size_t count, size_t bytes, const std::string& named) {
    const bool listed = !floats_.empty() || !doubles_.empty() || !integers_.empty();
    if (!listed) {
      expect(raw_.size(), bytes, named);
      result_.value = Tensor(dims_, dtype);
      if (bytes > 0) std::memcpy(result_.value.bytes(), raw_.data(), bytes);
    } else if (dtype == DType::kFloat32) {
      expect(floats_.size() / sizeof(float), count, named);
      result_.value = Tensor(dims_, dtype);
      copy_numbers<float, float>(floats_, result_.value);
    } else if (dtype == DType::kFloat64) {
      expect(doubles_.size() / sizeof(double), count, named);
      result_.value = Tensor(dims_, dtype);
      copy_numbers<double, double>(doubles_, result_.value);
    } else {
      expect(integers_.size(), count, named);
      result_.value = Tensor(dims_, dtype);
      copy_integers(integers_, result_.value);
    }
  }

  TensorProto result_;
  Shape dims_;
  int64_t element_ = 0;
  std::string_view raw_;
  std::string floats_, doubles_;
  std::vector<int64_t> integers_;
  bool external_ = false;
  bool strings_ = false;
};

Attribute read_attribute(std::string_view message, const std::string& node) {
  constexpr std::string_view kWhat = "an attribute";
  Attribute result;
  int64_t type = 0;
  WireReader reader(message);
  while (const auto field = reader.next()) switch (field->id) {
      case attribute_field::kName:
        result.name = text_of(*field, kWhat);
        break;
      case attribute_field::kFloat:
        result.real = field->real(kWhat);
        break;
      case attribute_field::kInt:
        result.integer = field->integer(kWhat);
        break;
      case attribute_field::kString:
        result.text = text_of(*field, kWhat);
        break;
      case attribute_field::kTensor:
        result.tensor = TensorReader().read(field->text(kWhat)).value;
        break;
      case attribute_field::kFloats:
        if (field->type == WireType::kFixed32) {
          result.reals.push_back(field->real(kWhat));
        } else {
          const std::string_view words = field->text(kWhat);
          result.reals.resize(words.size() / sizeof(float));
          std::ranges::copy(words.substr(0, result.reals.size() * sizeof(float)),
                            reinterpret_cast<char*>(result.reals.data()));
        }
        break;
      case attribute_field::kInts:
        append_integers(*field, kWhat, result.integers);
        break;
      case attribute_field::kGraph:
      case attribute_field::kGraphs:
        fail_unsupported(fmt::format(
            "node {} holds a graph of its own (a branch or a loop), which Marrow does not run", node));
      case attribute_field::kType:
        type = field->integer(kWhat);
        break;
      default:
        break;
    }
  constexpr int64_t kGraphType = 5;
  if (type < 1 || type > static_cast<int64_t>(Attribute::Type::kInts) || type == kGraphType)
    fail_unsupported(fmt::format("node {}: attribute '{}' has type {}", node, printable(result.name), type));
  result.type = static_cast<Attribute::Type>(type);
  return result;
}

NodeProto read_node(std::string_view message, size_t index) {
  constexpr std::string_view kWhat = "a node";
  NodeProto result;
  std::vector<std::string_view> attributes;  // read last: their messages name the node
  WireReader reader(message);
  while (const auto field = reader.next()) switch (field->id) {
      case node_field::kInput:
        result.inputs.push_back(text_of(*field, kWhat));
        break;
      case node_field::kOutput:
        result.outputs.push_back(text_of(*field, kWhat));
        break;
      case node_field::kName:
        result.name = text_of(*field, kWhat);
        break;
      case node_field::kOpType:
        result.op_type = text_of(*field, kWhat);
        break;
      case node_field::kAttribute:
        attributes.push_back(field->text(kWhat));
        break;
      case node_field::kDomain:
        result.domain = text_of(*field, kWhat);
        break;
      default:
        break;
    }
  if (result.inputs.size() + result.outputs.size() > kMaxNodeValues)
    fail_format(fmt::format("node {} has {} inputs and {} outputs", index, result.inputs.size(),
                            result.outputs.size()));
  if (result.name.empty()) result.name = fmt::format("#{}", index);
  const std::string named = fmt::format("'{}' ({})", printable(result.name), printable(result.op_type));
  for (const std::string_view attribute : attributes)
    result.attributes.push_back(read_attribute(attribute, named));
  return result;
}

Dimension read_dimension(std::string_view message) {
  constexpr std::string_view kWhat = "a dimension";
  Dimension result;
  WireReader reader(message);
  while (const auto field = reader.next()) {
    if (field->id == dim_field::kValue) result.value = field->integer(kWhat);
    if (field->id == dim_field::kParameter) result.parameter = text_of(*field, kWhat);
  }
  // Old exporters write 0 or -1 for what is not known.
  if (result.value <= 0) result.value = -1;
  return result;
}

void read_shape(std::string_view message, ValueInfo& info) {
  WireReader reader(message);
  while (const auto field = reader.next())
    if (field->id == shape_field::kDim) info.shape.push_back(read_dimension(field->text("a shape")));
}

void read_tensor_type(std::string_view message, ValueInfo& info) {
  constexpr std::string_view kWhat = "a tensor type";
  WireReader reader(message);
  while (const auto field = reader.next()) {
    if (field->id == tensor_type_field::kShape) read_shape(field->text(kWhat), info);
    if (field->id != tensor_type_field::kElement) continue;
    const auto dtype = dtype_of_element(field->integer(kWhat));
    if (!dtype)
      fail_unsupported(fmt::format("an input or output has element type {}", field->integer(kWhat)));
    info.dtype = *dtype;
  }
}

ValueInfo read_value(std::string_view message) {
  constexpr std::string_view kWhat = "an input or output";
  ValueInfo result;
  WireReader reader(message);
  while (const auto field = reader.next()) {
    if (field->id == value_field::kName) result.name = text_of(*field, kWhat);
    if (field->id != value_field::kType) continue;
    WireReader type(field->text(kWhat));
    while (const auto kind = type.next()) {
      if (kind->id != type_field::kTensor) fail_unsupported("an input or output is no tensor");
      read_tensor_type(kind->text(kWhat), result);
    }
  }
  return result;
}

GraphProto read_graph(std::string_view message) {
  constexpr std::string_view kWhat = "the graph";
  const auto bound = [](size_t values) {
    if (values >= kMaxNodeValues)
      fail_format(fmt::format("the graph has more than {} inputs or outputs", kMaxNodeValues));
  };
  GraphProto result;
  WireReader reader(message);
  while (const auto field = reader.next()) switch (field->id) {
      case graph_field::kNode:
        if (result.nodes.size() == kMaxNodes) fail_format(fmt::format("more than {} nodes", kMaxNodes));
        result.nodes.push_back(read_node(field->text(kWhat), result.nodes.size()));
        break;
      case graph_field::kName:
        result.name = text_of(*field, kWhat);
        break;
      case graph_field::kInitializer:
        result.initializers.push_back(TensorReader().read(field->text(kWhat)));
        break;
      case graph_field::kInput:
        bound(result.inputs.size());
        result.inputs.push_back(read_value(field->text(kWhat)));
        break;
      case graph_field::kOutput:
        bound(result.outputs.size());
        result.outputs.push_back(read_value(field->text(kWhat)));
        break;
      case graph_field::kSparseInitializer:
        fail_unsupported("sparse tensors are not read");
      default:
        break;
    }
  return result;
}

std::pair<std::string, int64_t> read_opset(std::string_view message) {
  constexpr std::string_view kWhat = "an operator set";
  std::pair<std::string, int64_t> result;
  WireReader reader(message);
  while (const auto field = reader.next()) {
    if (field->id == opset_field::kDomain) result.first = text_of(*field, kWhat);
    if (field->id == opset_field::kVersion) result.second = field->integer(kWhat);
  }
  if (result.first == "ai.onnx") result.first.clear();
  return result;
}

std::pair<std::string, std::string> read_entry(std::string_view message) {
  constexpr std::string_view kWhat = "the metadata";
  std::pair<std::string, std::string> result;
  WireReader reader(message);
  while (const auto field = reader.next()) {
    if (field->id == entry_field::kKey) result.first = text_of(*field, kWhat);
    if (field->id == entry_field::kValue) result.second = text_of(*field, kWhat);
  }
  return result;
}

ModelProto read_model(std::string_view message) {
  constexpr std::string_view kWhat = "the model";
  ModelProto result;
  bool has_graph = false;
  WireReader reader(message);
  while (const auto field = reader.next()) switch (field->id) {
      case model_field::kIrVersion:
        result.ir_version = field->integer(kWhat);
        break;
      case model_field::kProducerName:
        result.producer_name = text_of(*field, kWhat);
        break;
      case model_field::kProducerVersion:
        result.producer_version = text_of(*field, kWhat);
        break;
      case model_field::kGraph:
        if (has_graph) fail_format("there are two graphs");
        has_graph = true;
        result.graph = read_graph(field->text(kWhat));
        break;
      case model_field::kOpset:
        result.opsets.insert(read_opset(field->text(kWhat)));
        break;
      case model_field::kMetadata:
        if (result.metadata.size() == kMaxEntries)
          fail_format(fmt::format("more than {} metadata", kMaxEntries));
        result.metadata.push_back(read_entry(field->text(kWhat)));
        break;
      case model_field::kFunctions:
        fail_unsupported("the model defines operators of its own (functions), which Marrow does not read");
      default:
        break;
    }
  if (!has_graph) fail_format("there is no graph in it: the file is empty, cut short or no ONNX");
  return result;
}

}  // namespace

const std::string* ModelProto::find_metadata(std::string_view key) const {
  for (const auto& [name, value] : metadata)
    if (name == key) return &value;
  return nullptr;
}

ModelProto parse_model(std::span<const std::byte> bytes, const std::string& where) {
  try {
    return read_model({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("{}: {}", where, error.what()));
  }
}

bool looks_like_onnx(std::span<const std::byte> bytes) {
  constexpr std::byte kIrVersionKey{model_field::kIrVersion << 3};
  constexpr int kMaxIrVersion = 31;
  return bytes.size() > 2 && bytes[0] == kIrVersionKey && std::to_integer<int>(bytes[1]) >= 1 &&
         std::to_integer<int>(bytes[1]) <= kMaxIrVersion;
}

}  // namespace marrow::onnx
