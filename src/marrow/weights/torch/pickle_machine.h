// The machine behind read_pickle (pickle.h): a stack, a memo and one function per group of opcodes. For
// pickle*.cpp only.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "marrow/weights/torch/pickle.h"
#include "marrow/weights/torch/pickle_globals.h"

namespace marrow::weights {

class PickleMachine {
 public:
  PickleMachine(std::span<const std::byte> bytes, const std::string& where, PickleDocument& document)
      : bytes_(bytes), where_(where), document_(document) {}

  void run();

 private:
  static constexpr size_t kMaxName = 256;  // of a module or a class

  [[noreturn]] void fail(std::string_view what) const;    // Error{kFormat}
  [[noreturn]] void refuse(std::string_view what) const;  // Error{kUnsupported}

  // Input.
  std::string_view take(uint64_t count);
  uint64_t take_unsigned(size_t width);
  std::string_view take_line(size_t longest);

  // Values and the stack. A MARK is the height of the stack when it was set; nothing pops below the last one.
  PickleValue& make(PickleValue::Kind kind) { return document_.values_.emplace_back(kind); }
  void push(const PickleValue* value) { stack_.push_back(value); }
  template <class T>
  void push_value(PickleValue::Kind kind, T data) {
    PickleValue& value = make(kind);
    value.data_ = std::move(data);
    push(&value);
  }
  void push_text(PickleValue::Kind kind, std::string_view text) { push_value(kind, text); }
  const PickleValue* pop();
  const PickleValue* top();
  PickleValue::Items pop_to_mark();
  void need(size_t count);

  // Opcodes.
  bool step();  // false after STOP
  bool step_data(uint8_t opcode);
  bool step_text(uint8_t opcode);
  bool step_memo(uint8_t opcode);
  bool step_container(uint8_t opcode);
  bool step_object(uint8_t opcode);
  void push_integer(std::string_view little_endian);
  void push_items(PickleValue::Kind kind, PickleValue::Items items) { push_value(kind, std::move(items)); }
  void push_last(PickleValue::Kind kind, size_t count);
  void memo_put(uint64_t index);
  void memo_get(uint64_t index);
  void append_to(const PickleValue* target, const PickleValue::Items& items);
  void set_items(const PickleValue* target, const PickleValue::Items& items);
  void push_global(std::string_view module, std::string_view name);
  void reduce(const PickleValue* callee, const PickleValue* arguments);
  void simulate(SimulatedGlobal simulated, const PickleGlobal& callee, const PickleValue& arguments);
  void push_object(const PickleGlobal& callee, const PickleValue* arguments);
  void build(const PickleValue* state);
  // Honest pickles copy each text and list once. One that a hostile file copies again and again would
  // multiply its size, so all copies together may not hold more bytes and items than the pickle itself.
  void count_copy(size_t count);
  std::string_view encode_latin1(std::string_view utf8);

  std::span<const std::byte> bytes_;
  const std::string& where_;
  PickleDocument& document_;
  size_t at_ = 0;
  size_t opcode_at_ = 0;
  size_t copied_ = 0;
  PickleValue::Items stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint64_t, const PickleValue*> memo_;
};

}  // namespace marrow::weights
