// Small files that claim much, one for each way in.
#pragma once

#include <string>
#include <vector>

namespace marrow::testing {

struct HostileFile {
  std::string what;  // as the table has it
  std::string name;  // of the file
  std::string content;
  std::vector<std::string> words;  // the command that reads it
  std::string says;                // empty: it is read, and costs no more
};

std::vector<HostileFile> hostile_images();
std::vector<HostileFile> hostile_networks();
std::vector<HostileFile> hostile_datasets();

}  // namespace marrow::testing
