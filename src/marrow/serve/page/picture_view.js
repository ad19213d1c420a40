// A picture with what was found on a canvas: draws boxes, outlines, keypoints and turned boxes, and says which box is at a point.
import {colour} from './colours.js';

const LEAST_WIDTH = 1000;  // of the canvas: lines and names on a small picture are sharp, too
const LEAST_VISIBILITY = 0.25;  // of a keypoint that is drawn

// [x, y, visibility], or [x, y], which is nowhere at 0, 0.
const isShown = ([x, y, visibility]) => (visibility === undefined ? x !== 0 || y !== 0 : visibility >= LEAST_VISIBILITY);

export class PictureView {
  // boxes are {class, name, confidence?, box: [x1, y1, x2, y2], outline?, keypoints?, corners?}, in pixels of the picture;
  // limbs are pairs of keypoints that are joined.
  constructor(canvas, bitmap, limbs = []) {
    this.limbs = limbs;
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
    if (box.outline) this.drawOutline(context, box);
    const edges = box.corners ? polygon(box.corners) : new Path2D();
    if (!box.corners) edges.rect(x1, y1, x2 - x1, y2 - y1);
    context.stroke(edges);
    if (strong) {
      context.fillStyle = 'rgb(255 255 255 / 15%)';
      context.fill(edges);
    }
    if (box.keypoints) this.drawKeypoints(context, box.keypoints, scale);
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

  drawOutline(context, box) {
    context.save();
    context.globalAlpha = 0.45;
    context.fillStyle = colour(box.class);
    context.fill(polygon(box.outline));
    context.restore();
  }

  drawKeypoints(context, points, scale) {
    context.save();
    context.lineWidth = 2 * scale;
    for (const [from, to] of this.limbs) {
      if (!isShown(points[from]) || !isShown(points[to])) continue;
      context.strokeStyle = colour(from);
      context.beginPath();
      context.moveTo(points[from][0], points[from][1]);
      context.lineTo(points[to][0], points[to][1]);
      context.stroke();
    }
    points.forEach((point, i) => {
      if (!isShown(point)) return;
      context.fillStyle = colour(i);
      context.beginPath();
      context.arc(point[0], point[1], 3.5 * scale, 0, 2 * Math.PI);
      context.fill();
    });
    context.restore();
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

function polygon(points) {
  const path = new Path2D();
  points.forEach(([x, y], i) => (i === 0 ? path.moveTo(x, y) : path.lineTo(x, y)));
  path.closePath();
  return path;
}

// Corners and middles of sides, clockwise from the upper left one.
export function handlePlaces([x1, y1, x2, y2]) {
  const xm = (x1 + x2) / 2, ym = (y1 + y2) / 2;
  return [[x1, y1], [xm, y1], [x2, y1], [x2, ym], [x2, y2], [xm, y2], [x1, y2], [x1, ym]];
}
