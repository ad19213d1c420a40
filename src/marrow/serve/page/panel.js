// One model's answer to the picture: canvas, list, times, downloads, corrections.
import {saveLabels} from './api.js';
import {BoxEditor} from './box_editor.js';
import {colour} from './colours.js';
import {download, element, swatch} from './dom.js';
import {PictureView} from './picture_view.js';

const stem = (name) => (name || 'picture').replace(/\.[^.]*$/, '');

function times(answer) {
  const parts = Object.entries(answer.timings).map(([name, ms]) => `${name} ${ms.toFixed(1)} ms`);
  return [...parts, `round trip ${answer.roundTrip.toFixed(0)} ms`].join(', ');
}

// What the server says of a damaged picture.
export const warningText = (answer) => element('p', {className: 'warning', role: 'status'}, answer.warnings.join('; '));

export class Panel {
  // filter(detection) says what is shown; tell(text, isError) speaks to the reader.
  constructor({model, picture, bitmap, answer, filter, tell, keepsLabels}) {
    Object.assign(this, {model, picture, answer, filter, tell});
    this.canvas = element('canvas', {tabIndex: 0, role: 'img'});
    this.view = new PictureView(this.canvas, bitmap, model.limbs);
    this.count = element('span');
    this.list = element('ul', {className: 'found', 'aria-label': `Objects found by ${model.name}`});
    this.inspector = element('p', {className: 'soft', 'aria-live': 'polite'});
    this.element = element('article', {className: 'panel card'},
      element('h2', {}, model.name),
      element('figure', {}, this.canvas,
        element('figcaption', {}, this.count, element('span', {className: 'times'}, times(answer)))),
      this.inspector, this.list, this.makeButtons(keepsLabels));
    if (answer.warnings) this.element.append(warningText(answer));
    this.editorPlace = element('div');
    this.element.append(this.editorPlace);
    this.canvas.addEventListener('pointermove', (event) => this.hover(event));
    this.canvas.addEventListener('pointerleave', () => this.hover(null));
    this.canvas.addEventListener('click', (event) => this.editor || this.select(this.view.at(this.view.point(event))));
    // A canvas has its size on the screen once it stands in the page.
    this.resized = new ResizeObserver(() => this.view.draw());
    this.resized.observe(this.canvas);
    this.refresh();
  }

  makeButtons(keepsLabels) {
    const json = element('button', {type: 'button', onclick: () => this.downloadJson()}, 'Download JSON');
    const picture = element('button', {type: 'button', onclick: () => this.downloadPicture()}, 'Download picture');
    const buttons = element('p', {className: 'buttons'}, json, picture);
    if (keepsLabels) {
      this.correct = element('button', {type: 'button', 'aria-pressed': 'false', onclick: () => this.toggleEditor()}, 'Correct boxes');
      buttons.append(this.correct);
    }
    return buttons;
  }

  refresh() {
    if (!this.editor) this.view.boxes = this.answer.detections.filter(this.filter);
    if (!this.view.boxes.includes(this.view.selected)) this.view.selected = null;
    const n = this.view.boxes.length;
    const words = `${n} ${n === 1 ? 'object' : 'objects'}`;
    this.count.textContent = `${words}; `;
    this.canvas.setAttribute('aria-label', `The picture with ${words} marked; they are listed below`);
    this.list.replaceChildren(...this.view.boxes.map((box) => element('li', {}, this.row(box))));
    this.view.draw();
    this.inspect();
  }

  row(box) {
    const number = element('span', {className: 'number'}, box.confidence === undefined ? 'corrected' : box.confidence.toFixed(2));
    const button = element('button', {type: 'button', 'aria-pressed': String(box === this.view.selected)}, swatch(colour(box.class)), box.name, number);
    button.onclick = () => this.select(box === this.view.selected ? null : box);
    button.onfocus = button.onmouseenter = () => this.mark(box);
    button.onblur = button.onmouseleave = () => this.mark(null);
    return button;
  }

  mark(box) {
    if (this.view.hovered === box) return;
    this.view.hovered = box;
    this.view.draw();
    this.inspect();
  }

  hover(event) {
    if (!this.editor) this.mark(event && this.view.at(this.view.point(event)));
  }

  select(box) {
    if (this.editor) this.editor.choose(box);
    else {
      this.view.selected = box;
      this.view.draw();
    }
    this.list.querySelectorAll('button').forEach((button, i) => button.setAttribute('aria-pressed', String(this.view.boxes[i] === box)));
    this.inspect();
  }

  inspect() {
    const box = this.view.hovered || this.view.selected;
    if (!box) {
      this.inspector.textContent = this.view.boxes.length ? 'Point at a box, or choose one below.' : 'Nothing above this confidence.';
      return;
    }
    const [x1, y1, x2, y2] = box.box.map((number) => number.toFixed(0));
    const sure = box.confidence === undefined ? '' : `, confidence ${box.confidence.toFixed(3)}`;
    const turned = box.angle === undefined ? '' : `, turned by ${(box.angle * 180 / Math.PI).toFixed(0)} degrees`;
    this.inspector.textContent = `${box.name}${sure}: from (${x1}, ${y1}) to (${x2}, ${y2}), ${(x2 - x1)} x ${(y2 - y1)} pixels${turned}`;
  }

  downloadJson() {
    const shown = {...this.answer, detections: this.view.boxes};
    delete shown.timings;
    delete shown.roundTrip;
    download(`${stem(this.picture.name)}.json`, new Blob([JSON.stringify(shown, null, 1)], {type: 'application/json'}));
  }

  downloadPicture() {
    this.canvas.toBlob((blob) => download(`${stem(this.picture.name)}-${this.model.name}.png`, blob), 'image/png');
  }

  toggleEditor() {
    if (this.editor) {
      this.editor.end();
      this.editor = null;
      this.editorPlace.replaceChildren();
    } else {
      this.view.boxes = this.view.boxes.map((box) => ({...box, box: [...box.box]}));
      this.editor = new BoxEditor(this.view, this.model.classes, {changed: () => this.changed(), selected: (box) => this.showForm(box)});
      this.editorPlace.replaceChildren(this.form());
      this.editor.choose(null);
      this.tell('Drag boxes or their corners, draw new ones, press Delete to remove one; then save.');
    }
    this.correct.setAttribute('aria-pressed', String(Boolean(this.editor)));
    this.refresh();
  }

  changed() {
    this.refresh();
    this.showForm(this.view.selected);
  }

  form() {
    const classes = element('select', {onchange: () => this.editor.setClass(Number(classes.value))},
      ...this.model.classes.map((name, i) => element('option', {value: String(i)}, name)));
    this.classSelect = classes;
    this.numbers = ['left', 'top', 'right', 'bottom'].map((name, i) => {
      const input = element('input', {type: 'number', step: '1', onchange: () => this.editor.setNumber(i, input.valueAsNumber)});
      return {name, input};
    });
    return element('div', {className: 'editor', role: 'group', 'aria-label': 'Correct boxes'},
      element('label', {}, 'Class', classes),
      ...this.numbers.map(({name, input}) => element('label', {}, name, input)),
      element('button', {type: 'button', onclick: () => this.editor.add()}, 'Add a box'),
      element('button', {type: 'button', onclick: () => this.editor.remove()}, 'Remove it'),
      element('button', {type: 'button', className: 'primary', onclick: () => this.save()}, 'Save as labels'));
  }

  showForm(box) {
    this.numbers.forEach(({input}, i) => {
      input.disabled = !box;
      input.value = box ? box.box[i].toFixed(0) : '';
    });
    if (box) this.classSelect.value = String(box.class);
    this.list.querySelectorAll('button').forEach((button, i) => button.setAttribute('aria-pressed', String(this.view.boxes[i] === box)));
    this.inspect();
  }

  async save() {
    const boxes = this.view.boxes.map((box) => ({class: box.class, box: box.box}));
    try {
      const saved = await saveLabels(this.model, this.picture, {width: this.view.width, height: this.view.height, boxes});
      this.tell(`Saved ${boxes.length} ${boxes.length === 1 ? 'box' : 'boxes'} as ${saved.label}.`);
    } catch (error) {
      this.tell(`Not saved: ${error.message}`, true);
    }
  }

  end() {
    this.resized.disconnect();
    if (this.editor) this.editor.end();
  }
}
