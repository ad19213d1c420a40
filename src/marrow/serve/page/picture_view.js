// A picture with boxes on a canvas: draws them, and says which one is at a point.
import {colour} from './colours.js';

const LEAST_WIDTH = 1000;  // of the canvas: lines and names on a small picture are sharp, too

export class PictureView {
  // boxes are {class, name, confidence?, box: [x1, y1, x2, y2]}, in pixels of the picture.
  constructor(canvas, bitmap) {
    this.canvas = canvas;
    this.bitmap = bitmap;
    this.boxes = [];
    this.selected = null;
    this.hovered = null;
    this.handles = false;
    this.width = bitmap.width;
    this.height = bitmap.height;
    this.zoom = Math.max(1, Math.ceil(LEAST_WIDTH / bitmap.width));
    canvas.width = this.width * this.zoom;
    canvas.height = this.height * this.zoom;
  }

  // Pixels of the picture for one on the screen.
  scale() {
    const shown = this.canvas.getBoundingClientRect().width;
    return shown > 0 ? this.width / shown : 1;
  }

  point(event) {
    const place = this.canvas.getBoundingClientRect();
    return [(event.clientX - place.left) * this.scale(), (event.clientY - place.top) * this.scale()];
  }

  // The smallest box around the point: what lies inside another can be reached.
  at([x, y]) {
    let best = null, smallest = Infinity;
    for (const box of this.boxes) {
      const [x1, y1, x2, y2] = box.box;
      const area = (x2 - x1) * (y2 - y1);
      if (x >= x1 && x <= x2 && y >= y1 && y <= y2 && area < smallest) [best, smallest] = [box, area];
    }
    return best;
  }

  draw() {
    const context = this.canvas.getContext('2d');
    context.setTransform(this.zoom, 0, 0, this.zoom, 0, 0);
    context.drawImage(this.bitmap, 0, 0);
    const scale = this.scale();
    for (const box of this.boxes) if (box !== this.selected) this.drawBox(context, box, scale);
    if (this.selected && this.boxes.includes(this.selected)) this.drawBox(context, this.selected, scale);
  }

  drawBox(context, box, scale) {
    const [x1, y1, x2, y2] = box.box;
    const strong = box === this.selected || box === this.hovered;
    context.lineWidth = (strong ? 4 : 2) * scale;
    context.strokeStyle = colour(box.class);
    context.strokeRect(x1, y1, x2 - x1, y2 - y1);
    if (strong) {
      context.fillStyle = 'rgb(255 255 255 / 15%)';
      context.fillRect(x1, y1, x2 - x1, y2 - y1);
    }
    this.drawName(context, box, scale);
    if (this.handles && box === this.selected) {
      context.fillStyle = '#fff';
      for (const [x, y] of handlePlaces(box.box)) {
        context.fillRect(x - 5 * scale, y - 5 * scale, 10 * scale, 10 * scale);
        context.lineWidth = scale;
        context.strokeRect(x - 5 * scale, y - 5 * scale, 10 * scale, 10 * scale);
      }
    }
  }

  drawName(context, box, scale) {
    const text = box.confidence === undefined ? box.name : `${box.name} ${box.confidence.toFixed(2)}`;
    const size = 13 * scale;
    context.font = `600 ${size}px system-ui, sans-serif`;
    const width = context.measureText(text).width + 8 * scale, height = 18 * scale;
    const x = Math.max(0, Math.min(box.box[0], this.width - width));
    const y = box.box[1] >= height ? box.box[1] - height : box.box[1];
    context.fillStyle = colour(box.class);
    context.fillRect(x, y, width, height);
    context.fillStyle = '#fff';
    context.fillText(text, x + 4 * scale, y + 13.5 * scale);
  }
}

// Corners and middles of sides, clockwise from the upper left one.
export function handlePlaces([x1, y1, x2, y2]) {
  const xm = (x1 + x2) / 2, ym = (y1 + y2) / 2;
  return [[x1, y1], [xm, y1], [x2, y1], [x2, ym], [x2, y2], [xm, y2], [x1, y2], [x1, ym]];
}
