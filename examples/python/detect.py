"""The objects in images: python3 detect.py best.safetensors street.jpg ..."""
import sys

from marrow import Detector, Error


def main():
    if len(sys.argv) < 3:
        print("usage: detect.py MODEL IMAGE...", file=sys.stderr)
        return 2
    try:
        detector = Detector(sys.argv[1], conf=0.25)
        for path in sys.argv[2:]:
            found = detector(path)
            print(path)
            for each in found:
                x1, y1, x2, y2 = each.box
                line = f"  {each.label:<16} {each.confidence:.2f}  ({x1:.0f}, {y1:.0f}) to ({x2:.0f}, {y2:.0f})"
                if each.mask is not None:
                    line += f", its mask an outline of {len(each.outline)} points"
                if each.keypoints is not None:
                    line += ", its points at" + "".join(f" ({x:.0f}, {y:.0f})" for x, y, _ in each.keypoints)
                if each.turned is not None:
                    line += f", turned by {each.turned[4]:.2f}"
                print(line)
    except Error as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
