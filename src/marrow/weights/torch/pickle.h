// Reads a Python pickle as plain data. Nothing is imported, called or constructed: the opcodes build a tree
// of values in which a class is its name and an object is its class name, its arguments and its state.
//
// Protocols 0 to 5, without the opcodes that real checkpoints never hold (INST, OBJ, EXT*, PERSID,
// out-of-band buffers), which are refused. Which globals may appear is decided in pickle_globals.h.
//
// Cost: one value per opcode at most, at most kMaxPickleOpcodes opcodes, and text stays where it lies in the
// file. Values may be shared and may form cycles, as in Python: a caller that walks the tree must bound depth
// and visits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace marrow::weights {

inline constexpr size_t kMaxPickleOpcodes =
    5'000'000;  // an epoch checkpoint of the largest YOLOv8 has about 300,000

struct PickleGlobal {
  std::string_view module;
  std::string_view name;
  std::string qualified() const { return std::string(module) + "." + std::string(name); }
};

struct PickleObject;

// One value; owned by its PickleDocument.
class PickleValue {
 public:
  enum class Kind : uint8_t {
    kNone,
    kBool,
    kInt,
    kBigInt,  // wider than 64 bits; text() is its little-endian two's complement
    kFloat,
    kString,
    kBytes,
    kList,
    kTuple,
    kDict,  // also collections.OrderedDict; items() alternate key, value
    kSet,
    kGlobal,
    kObject,
    kPersistentId,  // items()[0] is the identifier
  };
  using Items = std::vector<const PickleValue*>;

  explicit PickleValue(Kind kind) : kind_(kind) {}

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool is_none() const { return kind_ == Kind::kNone; }
  bool is_string() const { return kind_ == Kind::kString; }
  bool is_dict() const { return kind_ == Kind::kDict; }
  bool is_sequence() const { return kind_ == Kind::kList || kind_ == Kind::kTuple; }

  // Each accessor gives an empty answer when the value is of another kind.
  bool as_bool() const;
  int64_t as_int() const;    // of a bool or an int
  double as_number() const;  // of a bool, an int or a float
  bool is_number() const { return kind_ == Kind::kBool || kind_ == Kind::kInt || kind_ == Kind::kFloat; }
  std::string_view text() const;  // of a string, bytes or big int; not checked to be UTF-8
  const Items& items() const;     // of a list, tuple, set, dict or persistent id
  const PickleObject* object() const;
  const PickleGlobal* global() const;

  // The value of a string key of a dict, or nullptr. When a key was set twice, the last one, as in Python.
  const PickleValue* find(std::string_view key) const;

 private:
  friend class PickleMachine;
  Items& mutable_items() { return std::get<Items>(data_); }

  Kind kind_;
  std::variant<std::monostate, bool, int64_t, double, std::string_view, Items, PickleGlobal,
               std::unique_ptr<PickleObject>>
      data_;
};

// What REDUCE, NEWOBJ and BUILD would have made: never made.
struct PickleObject {
  PickleGlobal callee;                     // the class or function
  const PickleValue* arguments = nullptr;  // a tuple
  const PickleValue* state = nullptr;      // what BUILD gave, or nullptr
  PickleValue::Items items;                // SETITEM(S) on a dict subclass: key, value, ...
  PickleValue::Items elements;             // APPEND(S) on a list subclass

  // An attribute of the instance (an entry of the state's dict), or nullptr.
  const PickleValue* attribute(std::string_view name) const;
};

// The values of one pickle. `bytes` that were parsed must outlive it: strings are views of them.
class PickleDocument {
 public:
  const PickleValue& root() const { return *root_; }
  size_t consumed() const { return consumed_; }  // bytes up to and including STOP
  const std::vector<const PickleValue*>& persistent_ids() const { return persistent_ids_; }

 private:
  friend class PickleMachine;
  std::deque<PickleValue> values_;
  std::deque<std::string> owned_text_;  // decoded text; together no longer than the pickle itself
  std::vector<const PickleValue*> persistent_ids_;
  const PickleValue* root_ = nullptr;
  size_t consumed_ = 0;
};

// Reads the pickle at the start of `bytes`; what follows its STOP is left alone. `where` begins every message
// ("net.pt: data.pkl"). Throws Error{kFormat} for a broken or hostile pickle, Error{kUnsupported} for a
// refused opcode or global.
PickleDocument read_pickle(std::span<const std::byte> bytes, const std::string& where);

}  // namespace marrow::weights
