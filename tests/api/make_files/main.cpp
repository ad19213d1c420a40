// Makes the files of tests in other languages: make_api_files FOLDER
#include <filesystem>

#include "api/made_files.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  std::filesystem::create_directories(argv[1]);
  marrow::testing::write_api_files(argv[1]);
}
