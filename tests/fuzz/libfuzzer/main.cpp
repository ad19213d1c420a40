// libFuzzer on one of the targets:
//
//   fuzz READER FOLDER [libFuzzer's options]
//   fuzz --list
//
// FOLDER collects the inputs that reach something new. The reader's seeds and its kept inputs are added
// first.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "fuzz/target.h"

namespace {

const marrow::fuzz::Target* chosen = nullptr;

void write_seeds(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  int number = 0;
  for (const std::string& seed : chosen->seeds())
    std::ofstream(folder / ("seed" + std::to_string(number++)), std::ios::binary) << seed;
  for (const std::filesystem::path& kept : marrow::fuzz::kept_inputs(*chosen))
    std::filesystem::copy_file(kept, folder / kept.filename(),
                               std::filesystem::copy_options::overwrite_existing);
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  if (*argc == 2 && std::string_view((*argv)[1]) == "--list") {
    for (const marrow::fuzz::Target& target : marrow::fuzz::targets()) std::puts(target.name);
    std::exit(0);
  }
  if (*argc < 3) {
    std::fprintf(stderr, "usage: fuzz READER FOLDER [libFuzzer's options]\n       fuzz --list\n");
    std::exit(2);
  }
  chosen = &marrow::fuzz::find_target((*argv)[1]);
  write_seeds((*argv)[2]);
  // libFuzzer takes its options and folders from what is left.
  (*argv)[1] = (*argv)[0];
  ++*argv;
  --*argc;
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  marrow::fuzz::run(*chosen, std::as_bytes(std::span(data, size)));
  return 0;
}
