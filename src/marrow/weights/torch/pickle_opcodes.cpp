// The opcodes of the pickle machine, by group. Names are those of Python's pickletools.
#include <fmt/format.h>

#include <bit>
#include <charconv>

#include "marrow/base/error.h"
#include "marrow/base/text.h"
#include "marrow/weights/torch/pickle_machine.h"

namespace marrow::weights {
namespace {

using Kind = PickleValue::Kind;

constexpr size_t kMaxTextLine = 4096;  // of the text opcodes (INT, FLOAT, STRING, ...)
constexpr int kNewestProtocol = 5;

}  // namespace

bool PickleMachine::step_data(uint8_t opcode) {
  switch (opcode) {
    case 'N':  // NONE
      push(&make(Kind::kNone));
      return true;
    case 0x88:  // NEWTRUE
      push_value(Kind::kBool, true);
      return true;
    case 0x89:  // NEWFALSE
      push_value(Kind::kBool, false);
      return true;
    case 'J':  // BININT
      push_integer(take(4));
      return true;
    case 'K':  // BININT1
      push_value(Kind::kInt, static_cast<int64_t>(take_unsigned(1)));
      return true;
    case 'M':  // BININT2
      push_value(Kind::kInt, static_cast<int64_t>(take_unsigned(2)));
      return true;
    case 0x8a:  // LONG1
      push_integer(take(take_unsigned(1)));
      return true;
    case 0x8b:  // LONG4; a negative count is far beyond the end of the file
      push_integer(take(take_unsigned(4)));
      return true;
    case 'G': {  // BINFLOAT, big-endian
      const std::string_view raw = take(8);
      uint64_t bits = 0;
      for (const char c : raw) bits = (bits << 8) | static_cast<uint8_t>(c);
      push_value(Kind::kFloat, std::bit_cast<double>(bits));
      return true;
    }
    case 'X':  // BINUNICODE
    case 'T':  // BINSTRING: text of Python 2
      push_text(Kind::kString, take(take_unsigned(4)));
      return true;
    case 0x8c:  // SHORT_BINUNICODE
    case 'U':   // SHORT_BINSTRING
      push_text(Kind::kString, take(take_unsigned(1)));
      return true;
    case 0x8d:  // BINUNICODE8
      push_text(Kind::kString, take(take_unsigned(8)));
      return true;
    case 'C':  // SHORT_BINBYTES
      push_text(Kind::kBytes, take(take_unsigned(1)));
      return true;
    case 'B':  // BINBYTES
      push_text(Kind::kBytes, take(take_unsigned(4)));
      return true;
    case 0x8e:  // BINBYTES8
    case 0x96:  // BYTEARRAY8
      push_text(Kind::kBytes, take(take_unsigned(8)));
      return true;
    default:
      return false;
  }
}

// The opcodes of protocol 0, whose arguments are lines of text.
bool PickleMachine::step_text(uint8_t opcode) {
  const auto parse = [&](std::string_view line, auto& number) {
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), number);
    if (error != std::errc() || end != line.data() + line.size())
      fail(fmt::format("'{}' is not a number", printable(line)));
  };
  switch (opcode) {
    case 'I':    // INT
    case 'L': {  // LONG
      std::string_view line = take_line(kMaxTextLine);
      if (opcode == 'I' && (line == "00" || line == "01")) {
        push_value(Kind::kBool, line == "01");
        return true;
      }
      if (opcode == 'L' && line.ends_with('L')) line.remove_suffix(1);
      int64_t number = 0;
      parse(line, number);
      push_value(Kind::kInt, number);
      return true;
    }
    case 'F': {  // FLOAT
      double number = 0;
      parse(take_line(kMaxTextLine), number);
      push_value(Kind::kFloat, number);
      return true;
    }
    case 'S': {  // STRING, quoted
      const std::string_view line = take_line(kMaxTextLine);
      const bool quoted =
          line.size() >= 2 && line.front() == line.back() && (line[0] == '\'' || line[0] == '"');
      if (!quoted) fail("a string is not quoted");
      if (line.find('\\') != std::string_view::npos) refuse("escapes in protocol 0 text are not supported");
      push_text(Kind::kString, line.substr(1, line.size() - 2));
      return true;
    }
    case 'V': {  // UNICODE
      const std::string_view line = take_line(kMaxTextLine);
      if (line.find('\\') != std::string_view::npos) refuse("escapes in protocol 0 text are not supported");
      push_text(Kind::kString, line);
      return true;
    }
    case 'g':    // GET
    case 'p': {  // PUT
      uint64_t index = 0;
      parse(take_line(kMaxTextLine), index);
      opcode == 'g' ? memo_get(index) : memo_put(index);
      return true;
    }
    default:
      return false;
  }
}

bool PickleMachine::step_memo(uint8_t opcode) {
  switch (opcode) {
    case 'q':  // BINPUT
      memo_put(take_unsigned(1));
      return true;
    case 'r':  // LONG_BINPUT
      memo_put(take_unsigned(4));
      return true;
    case 0x94:  // MEMOIZE
      memo_put(memo_.size());
      return true;
    case 'h':  // BINGET
      memo_get(take_unsigned(1));
      return true;
    case 'j':  // LONG_BINGET
      memo_get(take_unsigned(4));
      return true;
    default:
      return false;
  }
}

bool PickleMachine::step_container(uint8_t opcode) {
  switch (opcode) {
    case '(':  // MARK
      marks_.push_back(stack_.size());
      return true;
    case '0':  // POP; of a mark when that is on top
      if (!marks_.empty() && marks_.back() == stack_.size())
        marks_.pop_back();
      else
        pop();
      return true;
    case '1':  // POP_MARK
      pop_to_mark();
      return true;
    case '2':  // DUP
      push(top());
      return true;
    case ')':  // EMPTY_TUPLE
      push_items(Kind::kTuple, {});
      return true;
    case 0x85:  // TUPLE1
    case 0x86:  // TUPLE2
    case 0x87:  // TUPLE3
      push_last(Kind::kTuple, opcode - 0x84u);
      return true;
    case 't':  // TUPLE
      push_items(Kind::kTuple, pop_to_mark());
      return true;
    case ']':  // EMPTY_LIST
      push_items(Kind::kList, {});
      return true;
    case 'l':  // LIST
      push_items(Kind::kList, pop_to_mark());
      return true;
    case '}':  // EMPTY_DICT
      push_items(Kind::kDict, {});
      return true;
    case 'd': {  // DICT
      PickleValue::Items items = pop_to_mark();
      push_items(Kind::kDict, {});
      set_items(top(), items);
      return true;
    }
    case 0x8f:  // EMPTY_SET
      push_items(Kind::kSet, {});
      return true;
    case 0x91:  // FROZENSET
      push_items(Kind::kSet, pop_to_mark());
      return true;
    case 'a': {  // APPEND
      const PickleValue* item = pop();
      append_to(top(), {item});
      return true;
    }
    case 'e':     // APPENDS
    case 0x90: {  // ADDITEMS
      const PickleValue::Items items = pop_to_mark();
      append_to(top(), items);
      return true;
    }
    case 's': {  // SETITEM
      const PickleValue* value = pop();
      const PickleValue* key = pop();
      set_items(top(), {key, value});
      return true;
    }
    case 'u': {  // SETITEMS
      const PickleValue::Items items = pop_to_mark();
      set_items(top(), items);
      return true;
    }
    default:
      return false;
  }
}

bool PickleMachine::step_object(uint8_t opcode) {
  switch (opcode) {
    case 'c': {  // GLOBAL
      const std::string_view module = take_line(kMaxName);
      push_global(module, take_line(kMaxName));
      return true;
    }
    case 0x93: {  // STACK_GLOBAL
      const PickleValue* name = pop();
      const PickleValue* module = pop();
      if (!name->is_string() || !module->is_string()) fail("the name of a global is not text");
      push_global(module->text(), name->text());
      return true;
    }
    case 'R': {  // REDUCE
      const PickleValue* arguments = pop();
      const PickleValue* callee = pop();
      reduce(callee, arguments);
      return true;
    }
    case 0x81:    // NEWOBJ
    case 0x92: {  // NEWOBJ_EX; keyword arguments are dropped
      if (opcode == 0x92) pop();
      const PickleValue* arguments = pop();
      const PickleValue* callee = pop();
      if (callee->global() == nullptr || !arguments->is(Kind::kTuple))
        fail("an object has no class or arguments");
      // An instance of a class that is simulated (an OrderedDict at protocol 4) is made as by a call.
      if (policy_of(*callee->global()).rule == GlobalRule::kSimulated)
        reduce(callee, arguments);
      else
        push_object(*callee->global(), arguments);
      return true;
    }
    case 'b': {  // BUILD
      const PickleValue* state = pop();
      build(state);
      return true;
    }
    case 'Q': {  // BINPERSID
      push_last(Kind::kPersistentId, 1);
      document_.persistent_ids_.push_back(top());
      return true;
    }
    default:
      return false;
  }
}

bool PickleMachine::step() {
  opcode_at_ = at_;
  const auto opcode = static_cast<uint8_t>(take_unsigned(1));
  switch (opcode) {
    case '.':  // STOP
      document_.root_ = pop();
      document_.consumed_ = at_;
      return false;
    case 0x80: {  // PROTO
      const uint64_t protocol = take_unsigned(1);
      if (protocol > kNewestProtocol) refuse(fmt::format("pickle protocol {}; known are 0 to 5", protocol));
      return true;
    }
    case 0x95: {  // FRAME: only a hint for buffering
      const uint64_t length = take_unsigned(8);
      if (length > bytes_.size() - at_) fail("a frame reaches beyond the end of the pickle");
      return true;
    }
    case 'i': {  // INST
      const std::string_view module = take_line(kMaxName);
      const PickleGlobal global{module, take_line(kMaxName)};
      refuse(
          fmt::format("this file wants to create {} with the opcode INST, which no checkpoint needs; refused",
                      printable(global.qualified())));
    }
    default:
      break;
  }
  if (step_data(opcode) || step_container(opcode) || step_memo(opcode) || step_object(opcode) ||
      step_text(opcode))
    return true;
  refuse(fmt::format("opcode 0x{:02x} is none that a checkpoint needs; refused", opcode));
}

void PickleMachine::run() {
  for (size_t count = 0; step(); ++count)
    if (count >= kMaxPickleOpcodes)
      refuse(fmt::format("more than {} opcodes; no checkpoint needs as many", kMaxPickleOpcodes));
}

PickleDocument read_pickle(std::span<const std::byte> bytes, const std::string& where) {
  PickleDocument document;
  PickleMachine(bytes, where, document).run();
  return document;
}

}  // namespace marrow::weights
