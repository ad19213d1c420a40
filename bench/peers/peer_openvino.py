"""OpenVINO: latency hint, one stream, the given threads, float32 kept float32, tensors shared."""

import openvino
import openvino.properties.hint as hint


def version():
    return f"OpenVINO {openvino.__version__.split('-')[0]}"


class Peer:
    # int8 is in the file, as quantising and dequantising operators; this is for what lies between them.
    PRECISIONS = {"float32": openvino.Type.f32, "bf16": openvino.Type.bf16, "int8": openvino.Type.f32}

    def __init__(self, path, height, width, threads, precision, folder):
        if precision not in self.PRECISIONS:
            raise ValueError(f"no {precision}")
        core = openvino.Core()
        compiled = core.compile_model(core.read_model(path), "CPU", {
            hint.performance_mode: hint.PerformanceMode.LATENCY,
            hint.execution_mode: hint.ExecutionMode.ACCURACY if precision == "float32" else
            hint.ExecutionMode.PERFORMANCE,
            hint.inference_precision: self.PRECISIONS[precision],
            openvino.properties.inference_num_threads: threads,
            openvino.properties.num_streams: 1,
        })
        self.request = compiled.create_infer_request()
        self.given = None

    def run(self, image):
        if self.given is not image:
            self.request.set_input_tensor(openvino.Tensor(image, shared_memory=True))
            self.given = image
        self.request.infer()

    def outputs(self):
        return [tensor.data for tensor in self.request.output_tensors]
