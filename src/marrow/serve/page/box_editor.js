// Corrects boxes on a picture by pointer and keyboard: move, resize, draw, delete, name.
import {handlePlaces} from './picture_view.js';

const SIDES = [[0, 1], [1], [1, 2], [2], [2, 3], [3], [0, 3], [0]];  // numbers of a box that each handle moves
const LEAST = 2;                                                     // pixels a side

export class BoxEditor {
  // changed() is called after every change, selected(box) when another box is chosen.
  constructor(view, classes, {changed, selected}) {
    this.view = view;
    this.classes = classes;
    this.changed = changed;
    this.selected = selected;
    this.newClass = 0;
    view.handles = true;
    view.canvas.classList.add('editing');
    this.listeners = {pointerdown: (e) => this.down(e), pointermove: (e) => this.move(e), pointerup: () => this.up(), pointercancel: () => this.up(), keydown: (e) => this.key(e)};
    for (const [name, listener] of Object.entries(this.listeners)) view.canvas.addEventListener(name, listener);
  }

  end() {
    for (const [name, listener] of Object.entries(this.listeners)) this.view.canvas.removeEventListener(name, listener);
    this.view.handles = false;
    this.view.canvas.classList.remove('editing');
  }

  choose(box) {
    this.view.selected = box;
    this.view.draw();
    this.selected(box);
  }

  handleAt(point) {
    const box = this.view.selected, reach = 12 * this.view.scale();
    if (!box) return -1;
    return handlePlaces(box.box).findIndex(([x, y]) => Math.abs(x - point[0]) <= reach && Math.abs(y - point[1]) <= reach);
  }

  down(event) {
    const point = this.view.point(event);
    this.view.canvas.setPointerCapture(event.pointerId);
    const handle = this.handleAt(point);
    if (handle >= 0) {
      this.drag = {numbers: SIDES[handle], from: point, before: [...this.view.selected.box]};
      return;
    }
    const box = this.view.at(point);
    if (box) {
      this.choose(box);
      this.drag = {numbers: [0, 1, 2, 3], from: point, before: [...box.box]};
    } else {
      const fresh = {class: this.newClass, name: this.classes[this.newClass] || String(this.newClass), box: [...point, ...point]};
      this.view.boxes.push(fresh);
      this.choose(fresh);
      this.drag = {numbers: [2, 3], from: point, before: [...fresh.box], fresh: true};
    }
  }

  move(event) {
    if (!this.drag) return;
    const point = this.view.point(event), box = this.view.selected;
    box.box = box.box.map((_, i) => this.drag.before[i] + (this.drag.numbers.includes(i) ? point[i % 2] - this.drag.from[i % 2] : 0));
    this.view.draw();
  }

  up() {
    if (!this.drag) return;
    const fresh = this.drag.fresh, box = this.view.selected;
    this.drag = null;
    this.settle(box);
    if (fresh && (box.box[2] - box.box[0] <= LEAST || box.box[3] - box.box[1] <= LEAST)) this.remove();
    else this.changed();
    this.view.draw();
  }

  // Corners in order, inside the picture, and apart.
  settle(box) {
    const {width, height} = this.view;
    const order = (a, b, most) => {
      const low = Math.min(Math.max(Math.min(a, b), 0), most - LEAST);
      return [low, Math.min(Math.max(Math.max(a, b), low + LEAST), most)];
    };
    const [x1, x2] = order(box.box[0], box.box[2], width), [y1, y2] = order(box.box[1], box.box[3], height);
    box.box = [x1, y1, x2, y2];
  }

  setNumber(i, value) {
    const box = this.view.selected;
    if (!box || !Number.isFinite(value)) return;
    box.box[i] = value;
    this.settle(box);
    this.changed();
    this.view.draw();
  }

  setClass(classId) {
    this.newClass = classId;
    const box = this.view.selected;
    if (!box) return;
    box.class = classId;
    box.name = this.classes[classId];
    delete box.confidence;
    this.changed();
    this.view.draw();
  }

  add() {
    const {width, height} = this.view;
    const box = {class: this.newClass, name: this.classes[this.newClass], box: [width * 0.4, height * 0.4, width * 0.6, height * 0.6]};
    this.view.boxes.push(box);
    this.changed();
    this.choose(box);
  }

  remove() {
    this.view.boxes = this.view.boxes.filter((box) => box !== this.view.selected);
    this.changed();
    this.choose(null);
  }

  key(event) {
    const box = this.view.selected;
    if (!box) return;
    const step = (event.shiftKey ? 10 : 1) * Math.max(1, this.view.scale());
    const moves = {ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step]};
    if (event.key === 'Delete' || event.key === 'Backspace') this.remove();
    else if (event.key === 'Escape') this.choose(null);
    else if (moves[event.key]) {
      const [dx, dy] = moves[event.key], numbers = event.altKey ? [2, 3] : [0, 1, 2, 3];
      for (const i of numbers) box.box[i] += i % 2 ? dy : dx;
      this.settle(box);
      this.changed();
      this.view.draw();
    } else return;
    event.preventDefault();
  }
}
