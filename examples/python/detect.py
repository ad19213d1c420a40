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
                print(f"  {each.label:<16} {each.confidence:.2f}  ({x1:.0f}, {y1:.0f}) to ({x2:.0f}, {y2:.0f})")
    except Error as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
