// Classes as a user names them.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace marrow {

// Numbers or names, in the order wanted, as numbers of `names`. A name that is a number is taken as a name.
// Throws Error{kUsage} "OPTION: ..." for a class that there is not, with the nearest name.
std::vector<int> class_numbers(std::span<const std::string> wanted, std::span<const std::string> names,
                               const std::string& option);

}  // namespace marrow
