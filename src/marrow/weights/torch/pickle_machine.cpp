#include "marrow/weights/torch/pickle_machine.h"

#include <fmt/format.h>

#include "marrow/base/error.h"
#include "marrow/base/text.h"

namespace marrow::weights {

using Kind = PickleValue::Kind;

void PickleMachine::fail(std::string_view what) const {
  throw Error(ErrorKind::kFormat, fmt::format("{}: byte {}: {}", where_, opcode_at_, what));
}

void PickleMachine::refuse(std::string_view what) const {
  throw Error(ErrorKind::kUnsupported, fmt::format("{}: byte {}: {}", where_, opcode_at_, what));
}

std::string_view PickleMachine::take(uint64_t count) {
  if (count > bytes_.size() - at_)
    fail(fmt::format("wants {} more bytes, but the pickle has {} left", count, bytes_.size() - at_));
  const std::string_view text(reinterpret_cast<const char*>(bytes_.data()) + at_, count);
  at_ += count;
  return text;
}

uint64_t PickleMachine::take_unsigned(size_t width) {
  const std::string_view raw = take(width);
  uint64_t value = 0;
  for (size_t i = 0; i < width; ++i) value |= uint64_t{static_cast<uint8_t>(raw[i])} << (8 * i);
  return value;
}

std::string_view PickleMachine::take_line(size_t longest) {
  const std::string_view rest(reinterpret_cast<const char*>(bytes_.data()) + at_, bytes_.size() - at_);
  const size_t end = rest.substr(0, longest + 1).find('\n');
  if (end == std::string_view::npos) fail(fmt::format("a line of text has no end within {} bytes", longest));
  at_ += end + 1;
  return rest.substr(0, end);
}

void PickleMachine::need(size_t count) {
  const size_t floor = marks_.empty() ? 0 : marks_.back();
  if (stack_.size() - floor < count) fail("takes more values than there are on the stack");
}

const PickleValue* PickleMachine::pop() {
  need(1);
  const PickleValue* value = stack_.back();
  stack_.pop_back();
  return value;
}

const PickleValue* PickleMachine::top() {
  need(1);
  return stack_.back();
}

PickleValue::Items PickleMachine::pop_to_mark() {
  if (marks_.empty()) fail("there is no mark on the stack");
  const auto first = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
  PickleValue::Items items(first, stack_.end());
  stack_.erase(first, stack_.end());
  marks_.pop_back();
  return items;
}

void PickleMachine::push_last(Kind kind, size_t count) {
  need(count);
  const auto first = stack_.end() - static_cast<std::ptrdiff_t>(count);
  PickleValue::Items items(first, stack_.end());
  stack_.erase(first, stack_.end());
  push_items(kind, std::move(items));
}

void PickleMachine::push_integer(std::string_view little_endian) {
  if (little_endian.size() > sizeof(int64_t)) return push_text(Kind::kBigInt, little_endian);
  uint64_t value = 0;
  for (size_t i = 0; i < little_endian.size(); ++i)
    value |= uint64_t{static_cast<uint8_t>(little_endian[i])} << (8 * i);
  const size_t bits = 8 * little_endian.size();
  const bool negative = bits > 0 && ((value >> (bits - 1)) & 1) != 0;
  if (negative && bits < 64) value |= ~uint64_t{0} << bits;
  push_value(Kind::kInt, static_cast<int64_t>(value));
}

void PickleMachine::memo_put(uint64_t index) {
  memo_[index] = top();
}

void PickleMachine::memo_get(uint64_t index) {
  const auto found = memo_.find(index);
  if (found == memo_.end()) fail(fmt::format("refers to memo {}, which was never set", index));
  push(found->second);
}

void PickleMachine::append_to(const PickleValue* target, const PickleValue::Items& items) {
  // Values are owned by the document as mutable; only readers see them as const.
  auto* value = const_cast<PickleValue*>(target);
  PickleValue::Items* list = nullptr;
  if (value->is(Kind::kList) || value->is(Kind::kSet)) list = &value->mutable_items();
  if (value->is(Kind::kObject)) list = &std::get<std::unique_ptr<PickleObject>>(value->data_)->elements;
  if (list == nullptr) fail("appends to something that is no list");
  list->insert(list->end(), items.begin(), items.end());
}

void PickleMachine::set_items(const PickleValue* target, const PickleValue::Items& items) {
  auto* value = const_cast<PickleValue*>(target);
  PickleValue::Items* pairs = nullptr;
  if (value->is(Kind::kDict)) pairs = &value->mutable_items();
  if (value->is(Kind::kObject)) pairs = &std::get<std::unique_ptr<PickleObject>>(value->data_)->items;
  if (pairs == nullptr) fail("sets an item of something that is no dict");
  if (items.size() % 2 != 0) fail("sets an item without a value");
  pairs->insert(pairs->end(), items.begin(), items.end());
}

void PickleMachine::push_global(std::string_view module, std::string_view name) {
  if (module.empty() || name.empty() || module.size() > kMaxName || name.size() > kMaxName)
    fail("the name of a global is empty or too long");
  const PickleGlobal global{module, name};
  if (policy_of(global).rule == GlobalRule::kRefused)
    refuse(fmt::format("this file wants to run {}; refused. No part of it was executed",
                       printable(global.qualified())));
  push_value(Kind::kGlobal, global);
}

void PickleMachine::push_object(const PickleGlobal& callee, const PickleValue* arguments) {
  auto object = std::make_unique<PickleObject>();
  object->callee = callee;
  object->arguments = arguments;
  push_value(Kind::kObject, std::move(object));
}

void PickleMachine::count_copy(size_t count) {
  constexpr size_t kAllowance = 4096;
  copied_ += count;
  if (copied_ > bytes_.size() + kAllowance) fail("copies more than the pickle holds");
}

std::string_view PickleMachine::encode_latin1(std::string_view utf8) {
  std::string bytes;
  bytes.reserve(utf8.size());
  for (size_t i = 0; i < utf8.size(); ++i) {
    const auto lead = static_cast<uint8_t>(utf8[i]);
    if (lead < 0x80) {
      bytes += utf8[i];
      continue;
    }
    // U+0080..U+00FF are two bytes: C2 or C3, then the low six bits.
    const bool two_bytes = (lead == 0xc2 || lead == 0xc3) && i + 1 < utf8.size();
    const uint8_t next = two_bytes ? static_cast<uint8_t>(utf8[i + 1]) : uint8_t{0};
    if (!two_bytes || (next & 0xc0) != 0x80) fail("text that should be latin1 has a character beyond U+00FF");
    bytes += static_cast<char>(((lead & 0x03) << 6) | (next & 0x3f));
    ++i;
  }
  count_copy(bytes.size());
  return document_.owned_text_.emplace_back(std::move(bytes));
}

void PickleMachine::simulate(SimulatedGlobal simulated, const PickleGlobal& callee,
                             const PickleValue& arguments) {
  const PickleValue::Items& args = arguments.items();
  const auto wrong_arguments = [&] { fail("unexpected arguments of " + printable(callee.qualified())); };
  const auto copy_of_first = [&](Kind kind) {
    if (args.size() > 1 || (args.size() == 1 && !args[0]->is_sequence() && !args[0]->is(Kind::kSet)))
      wrong_arguments();
    PickleValue::Items items = args.empty() ? PickleValue::Items() : args[0]->items();
    count_copy(items.size());
    push_items(kind, std::move(items));
  };
  switch (simulated) {
    case SimulatedGlobal::kOrderedDict: {
      PickleValue::Items pairs;
      // OrderedDict([[key, value], ...]) is how Python 2 wrote it; a defaultdict's only argument is its
      // factory.
      if (callee.name != "defaultdict" && !args.empty()) {
        if (args.size() != 1 || !args[0]->is_sequence()) wrong_arguments();
        for (const PickleValue* pair : args[0]->items()) {
          if (!pair->is_sequence() || pair->items().size() != 2) wrong_arguments();
          pairs.insert(pairs.end(), pair->items().begin(), pair->items().end());
        }
        count_copy(pairs.size());
      }
      return push_items(Kind::kDict, std::move(pairs));
    }
    case SimulatedGlobal::kList:
      return copy_of_first(Kind::kList);
    case SimulatedGlobal::kTuple:
      return copy_of_first(Kind::kTuple);
    case SimulatedGlobal::kSet:
      return copy_of_first(Kind::kSet);
    case SimulatedGlobal::kByteArray:
      if (args.empty()) return push_text(Kind::kBytes, {});
      if (args[0]->is(Kind::kBytes)) return push_text(Kind::kBytes, args[0]->text());
      [[fallthrough]];
    case SimulatedGlobal::kEncode: {
      const bool latin1 = args.size() == 2 && args[0]->is_string() &&
                          (args[1]->text() == "latin1" || args[1]->text() == "latin-1");
      if (!latin1) wrong_arguments();
      return push_text(Kind::kBytes, encode_latin1(args[0]->text()));
    }
    case SimulatedGlobal::kReconstructor:
      if (args.size() != 3 || args[0]->global() == nullptr) wrong_arguments();
      return push_object(*args[0]->global(), &make(Kind::kTuple));
    case SimulatedGlobal::kNone:
      break;
  }
  wrong_arguments();
}

void PickleMachine::reduce(const PickleValue* callee, const PickleValue* arguments) {
  if (!arguments->is(Kind::kTuple)) fail("the arguments of a call are not a tuple");
  const PickleGlobal* global = callee->global();
  if (global == nullptr) refuse("this file wants to call something that is not a named class; refused");
  const GlobalPolicy policy = policy_of(*global);
  if (policy.rule == GlobalRule::kSimulated) return simulate(policy.simulated, *global, *arguments);
  if (policy.rule != GlobalRule::kOpaque)
    refuse(fmt::format("this file wants to call {}, which no checkpoint needs; refused. Nothing was executed",
                       printable(global->qualified())));
  push_object(*global, arguments);
}

void PickleMachine::build(const PickleValue* state) {
  auto* target = const_cast<PickleValue*>(top());
  if (target->is(Kind::kObject)) {
    std::get<std::unique_ptr<PickleObject>>(target->data_)->state = state;
    return;
  }
  // Attributes of a plain container, such as the _metadata of a state dict's OrderedDict, are dropped.
  const bool container = target->is_dict() || target->is_sequence() || target->is(Kind::kSet);
  if (!container) fail("gives a state to something that has none");
}

}  // namespace marrow::weights
