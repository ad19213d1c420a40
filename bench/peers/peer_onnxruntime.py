"""ONNX Runtime: all graph optimisations, spinning threads, input and output bound to memory."""

import numpy as np
import onnxruntime


def version():
    return f"ONNX Runtime {onnxruntime.__version__}"


class Peer:
    def __init__(self, path, height, width, threads, precision, folder):
        if precision not in ("float32", "int8"):  # int8 is in the file, as quantising and dequantising operators
            raise ValueError(f"no {precision}")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.add_session_config_entry("session.intra_op.allow_spinning", "1")
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.binding = None

    def run(self, image):
        if self.binding is None:
            self.bind(image)
        self.session.run_with_iobinding(self.binding)

    def bind(self, image):
        source = self.session.get_inputs()[0].name
        names = [output.name for output in self.session.get_outputs()]
        self.results = [np.empty(output.shape, np.float32) for output in self.session.run(names, {source: image})]
        self.binding = self.session.io_binding()
        self.binding.bind_input(source, "cpu", 0, np.float32, image.shape, image.ctypes.data)
        for name, result in zip(names, self.results):
            self.binding.bind_output(name, "cpu", 0, np.float32, result.shape, result.ctypes.data)

    def outputs(self):
        return self.results
