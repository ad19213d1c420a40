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
    // Names lie on all boxes, and what is selected on all of it.
    const names = this.placedNames(context, scale);
    const isSelected = (one) => one.box === this.selected, others = names.filter((one) => !isSelected(one));
    for (const {box} of others) this.drawBox(context, box, scale);
    for (const name of others.reverse()) drawName(context, name, scale);
    for (const name of names.filter(isSelected)) {
      this.drawBox(context, name.box, scale);
      drawName(context, name, scale);
      if (this.handles) drawHandles(context, name.box, scale);
    }
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
      const dot = (radius, style) => {
        context.fillStyle = style;
        context.beginPath();
        context.arc(point[0], point[1], radius * scale, 0, 2 * Math.PI);
        context.fill();
      };
      dot(5, '#fff');  // a rim, on ground of any colour
      dot(3.5, colour(i));
    });
    context.restore();
  }

  // {box, text, place} of each box; the first box, which is the surest, chooses its place first.
  placedNames(context, scale) {
    context.font = `600 ${13 * scale}px system-ui, sans-serif`;
    const taken = [];
    return this.boxes.map((box) => {
      const text = box.confidence === undefined ? box.name : `${box.name} ${box.confidence.toFixed(2)}`;
      const place = freePlace(this.placesOfName(box, context.measureText(text).width + 8 * scale, 18 * scale), taken);
      taken.push(place);
      return {box, text, place};
    });
  }

  // The best first, all in the picture: above the box, in it, below it. Of a turned box: at its highest corner, or at its lowest.
  placesOfName(box, width, height) {
    const corners = [...(box.corners || [])].sort((a, b) => a[1] - b[1]);
    const around = box.corners ? [corners[0], corners.at(-1)].map(([x, y]) => [x, y, x, y]) : [box.box];
    const within = (value, most) => Math.max(0, Math.min(value, most));
    return around.flatMap(([x1, y1, x2, y2]) => [[x1, y1 - height], [x2 - width, y1 - height], [x1, y1], [x1, y2 - height], [x1, y2], [x2 - width, y2]])
      .map(([x, y]) => ({x: within(x, this.width - width), y: within(y, this.height - height), width, height}));
  }
}

function drawName(context, {box, text, place}, scale) {
  context.fillStyle = colour(box.class);
  context.fillRect(place.x, place.y, place.width, place.height);
  context.fillStyle = '#fff';
  context.fillText(text, place.x + 4 * scale, place.y + 13.5 * scale);
}

function drawHandles(context, box, scale) {
  context.fillStyle = '#fff';
  context.lineWidth = scale;
  for (const [x, y] of handlePlaces(box.box)) {
    context.fillRect(x - 5 * scale, y - 5 * scale, 10 * scale, 10 * scale);
    context.strokeRect(x - 5 * scale, y - 5 * scale, 10 * scale, 10 * scale);
  }
}

// The first that hides nothing of those that are taken, else the one that hides least.
function freePlace(places, taken) {
  const shared = (a, b, start, size) => Math.max(0, Math.min(a[start] + a[size], b[start] + b[size]) - Math.max(a[start], b[start]));
  let best = places[0], least = Infinity;
  for (const place of places) {
    const hidden = taken.reduce((sum, other) => sum + shared(place, other, 'x', 'width') * shared(place, other, 'y', 'height'), 0);
    if (hidden < least) [best, least] = [place, hidden];
    if (hidden === 0) break;
  }
  return best;
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
