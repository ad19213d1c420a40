// Text that a checkpoint brings along and that is kept: checked before it becomes a key or a label.
#pragma once

#include <string>
#include <string_view>

namespace marrow::weights {

inline constexpr size_t kMaxTensorName = 1000;  // bytes; real names stay under 100

// The name of a tensor, unchanged. Throws Error{kFormat} when it is empty, too long, not UTF-8 or has control
// characters.
std::string checked_name(std::string name, const std::string& where);

// A class name or remark: at most 1000 bytes of valid UTF-8; bytes that are neither become '?'.
std::string display_text(std::string_view text);

}  // namespace marrow::weights
