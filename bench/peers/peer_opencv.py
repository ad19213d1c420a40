"""OpenCV's DNN module on the CPU. It reads the export as it is: 4.6 knows neither HardSwish nor Clip's limits as inputs."""

from pathlib import Path

import cv2


def version():
    return f"OpenCV {cv2.__version__}"


class Peer:
    def __init__(self, path, height, width, threads, precision, folder):
        if precision != "float32":
            raise ValueError(f"no {precision}")
        cv2.setNumThreads(threads)
        self.network = cv2.dnn.readNetFromONNX(str(Path(path).with_suffix(".export.onnx")))
        self.network.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
        self.network.setPreferableTarget(cv2.dnn.DNN_TARGET_CPU)
        self.names = self.network.getUnconnectedOutLayersNames()

    def run(self, image):
        self.network.setInput(image)
        self.results = self.network.forward(self.names)

    def outputs(self):
        return self.results
