"""What people write themselves: FastAPI around ONNX Runtime, with OpenCV for pictures and suppression.

Started by compare.py: MODEL and THREADS are in the environment.
"""

import os

import cv2
import numpy as np
import onnxruntime
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool

cv2.setNumThreads(1)
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(os.environ["THREADS"])
session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
SIDE = session.get_inputs()[0].shape[2]
app = FastAPI()


def letterboxed(picture):
    height, width = picture.shape[:2]
    ratio = min(SIDE / height, SIDE / width)
    wide, high = round(width * ratio), round(height * ratio)
    left, top = (SIDE - wide) // 2, (SIDE - high) // 2
    ground = np.full((SIDE, SIDE, 3), 114, np.uint8)
    ground[top : top + high, left : left + wide] = cv2.resize(picture, (wide, high), interpolation=cv2.INTER_LINEAR)
    return ground, ratio, left, top


def detect(body):
    picture = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)
    ground, ratio, left, top = letterboxed(picture)
    blob = cv2.dnn.blobFromImage(ground, 1 / 255, swapRB=True)
    prediction = session.run(None, {session.get_inputs()[0].name: blob})[0][0]
    classes = prediction[4:].argmax(0)
    scores = prediction[4:].max(0)
    kept = scores > 0.25
    centres, scores, classes = prediction[:4, kept].T, scores[kept], classes[kept]
    corners = np.concatenate([centres[:, :2] - centres[:, 2:] / 2, centres[:, 2:]], 1)
    found = []
    for i in cv2.dnn.NMSBoxesBatched(corners.tolist(), scores.tolist(), classes.tolist(), 0.25, 0.7):
        x, y, w, h = (corners[i] - [left, top, 0, 0]) / ratio
        found.append({"class": int(classes[i]), "confidence": float(scores[i]),
                      "box": [float(x), float(y), float(x + w), float(y + h)]})
    return {"detections": found}


@app.post("/v1/detect")
async def route(request: Request):
    return await run_in_threadpool(detect, await request.body())
