// marrow-check-onnx MODEL.onnx [IO.safetensors]: what other readers make of an ONNX file, as one JSON object
// on stdout. IO holds the tensors `input` and `output`; without it the file is checked but not run.
// marrow-check-onnx MODEL.onnx IO.safetensors THREADS: OpenCV alone, which then runs once for each line on
// stdin.
//
// A program of its own: libonnx and OpenCV's dnn would cost every start of `marrow` tens of milliseconds, and
// a reader that crashes ends nothing else. `marrow export` and `marrow benchmark` start it.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>

#include "check_onnx/readers.h"
#include "marrow/weights/safetensors.h"

int main(int argc, char** argv) {
  if (argc < 2 || argc > 4) {
    std::fputs("usage: marrow-check-onnx MODEL.onnx [IO.safetensors [THREADS]]\n", stderr);
    return 2;
  }
  try {
    if (argc == 4) {
      const marrow::Weights io = marrow::weights::read_safetensors(argv[2]).tensors;
      marrow::check::opencv_turns(argv[1], io.at("input"), io.at("output"), std::atoi(argv[3]));
      return 0;
    }
    nlohmann::json answer;
    answer["the ONNX checker"] = marrow::check::onnx_checker(argv[1]);
    if (argc == 3) {
      const marrow::Weights io = marrow::weights::read_safetensors(argv[2]).tensors;
      answer["OpenCV"] = marrow::check::opencv_reader(argv[1], io.at("input"), io.at("output"));
    }
    std::cout << answer.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
  } catch (const std::exception& error) {
    std::fprintf(stderr, "marrow-check-onnx: %s\n", error.what());
    return 1;
  }
}
