"""Pose estimation by MediaPipe, run by the python of an environment of its own: imports nothing of this project.

Speaks the protocol of `components.keypoints.pose_estimation`: the first line of standard input is a json object with
width and height, then come raw RGB frames; each is answered by one line of json on standard output.
"""

import json
import os
import sys

# Later ones download their pose models.
PACKAGE = "mediapipe==0.10.14"


def main() -> None:
    """Answer frames until standard input ends."""
    # Native libraries write to standard output as they like: answers get a channel of their own.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    import mediapipe
    import numpy as np

    frames = sys.stdin.buffer
    header = json.loads(frames.readline())
    width, height = int(header["width"]), int(header["height"])
    # Complexity 1 is the only model that the package carries; the others would be downloaded.
    with mediapipe.solutions.pose.Pose(model_complexity=1, min_detection_confidence=0.5) as pose:
        print(json.dumps({"joints": "mediapipe33", "estimator": f"mediapipe {mediapipe.__version__}"}), file=answers)
        answers.flush()
        while len(raw := frames.read(width * height * 3)) == width * height * 3:
            found = pose.process(np.frombuffer(raw, dtype=np.uint8).reshape(height, width, 3)).pose_landmarks
            persons = []
            if found is not None:
                persons = [[[p.x * width, p.y * height, p.visibility] for p in found.landmark]]
            print(json.dumps({"persons": persons}), file=answers)
            answers.flush()


if __name__ == "__main__":
    main()
