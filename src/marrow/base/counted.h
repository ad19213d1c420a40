// Numbers of things, for messages.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace marrow {

// "1 batch", "3 batches", "2 crosses": the name as English writes it for so many, by its rules alone ("2
// persons").
std::string counted(int64_t number, std::string_view name);

}  // namespace marrow
