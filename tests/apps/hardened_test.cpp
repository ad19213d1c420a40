// What cmake/hardened.cmake asks for, as the built programs and the library have it.
#include <elf.h>
#include <gtest/gtest.h>

#include <cstring>

#include "apps/program.h"
#include "marrow/base/files.h"

namespace marrow::apps {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLargestProgram = size_t{1} << 30;

std::vector<fs::path> built_files() {
  std::vector<fs::path> files = {MARROW_LIBRARY};
  for (const auto& entry : fs::directory_iterator(fs::path(MARROW_PROGRAM).parent_path()))
    files.push_back(entry.path());
  return files;
}

template <class T>
std::vector<T> table(const std::string& file, size_t at, size_t count) {
  std::vector<T> rows(count);
  if (at > file.size() || count > (file.size() - at) / sizeof(T)) throw std::runtime_error("cut off");
  std::memcpy(rows.data(), file.data() + at, count * sizeof(T));
  return rows;
}

TEST(Hardened, ProgramsAndLibrary) {
  for (const fs::path& path : built_files()) {
    SCOPED_TRACE(path.filename());
    const std::string file = read_file(path, kLargestProgram);
    const auto header = table<Elf64_Ehdr>(file, 0, 1).front();
    EXPECT_EQ(header.e_type, ET_DYN) << "lies wherever the system puts it";
    bool relro = false, stack = false;
    uint64_t flags = 0;
    for (const auto& segment : table<Elf64_Phdr>(file, header.e_phoff, header.e_phnum)) {
      if (segment.p_type == PT_GNU_RELRO) relro = true;
      if (segment.p_type == PT_GNU_STACK) stack = true;
      if (segment.p_type == PT_GNU_STACK || segment.p_type == PT_LOAD) {
        EXPECT_NE(segment.p_flags & (PF_W | PF_X), unsigned{PF_W | PF_X}) << "memory to write and to execute";
      }
      if (segment.p_type == PT_DYNAMIC)
        for (const auto& entry :
             table<Elf64_Dyn>(file, segment.p_offset, segment.p_filesz / sizeof(Elf64_Dyn)))
          if (entry.d_tag == DT_FLAGS_1) flags = entry.d_un.d_val;
    }
    EXPECT_TRUE(relro && stack);
    EXPECT_NE(flags & DF_1_NOW, 0u) << "all symbols are bound before the table is made read-only";
    EXPECT_EQ((flags & DF_1_PIE) != 0, path.extension() != ".so" && path != fs::path(MARROW_LIBRARY));
    EXPECT_NE(file.find("__stack_chk_fail"), std::string::npos) << "-fstack-protector-strong";
    EXPECT_NE(file.find("__memcpy_chk"), std::string::npos) << "_FORTIFY_SOURCE";
  }
}

// Two builds in different folders are equal; packaging/reproducible.sh makes them.
TEST(Hardened, NoFileSaysWhereItWasBuilt) {
  for (const fs::path& path : built_files())
    EXPECT_EQ(read_file(path, kLargestProgram).find(MARROW_SOURCE_DIR), std::string::npos) << path;
}

}  // namespace
}  // namespace marrow::apps
