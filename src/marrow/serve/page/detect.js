// The page that finds objects: takes a picture, asks one or two models, shows what they say side by side.
import {about, detect, drawn, sample} from './api.js';
import {colour} from './colours.js';
import {byId, element, swatch, tell} from './dom.js';
import {Panel, warningText} from './panel.js';

let server = {models: [], samples: 0, runs: false, labels: false};
let picture = null;      // Blob
let panels = [];
let hidden = new Set();  // names of classes
let turn = 0;            // of the latest picture: answers to older ones are dropped

const confidence = () => Number(byId('confidence').value);
const filter = (box) => box.confidence > confidence() && !hidden.has(box.name);

function chosenModels() {
  const names = [byId('model-0').value, byId('model-1').value].filter(Boolean);
  return names.map((name) => server.models.find((model) => model.name === name));
}

function listClasses(answers) {
  const counts = new Map();
  for (const {detections = []} of answers)
    for (const box of detections) counts.set(box.name, {class: box.class, count: (counts.get(box.name)?.count || 0) + 1});
  byId('classes').hidden = counts.size === 0;
  byId('class-list').replaceChildren(...[...counts].sort(([a], [b]) => a.localeCompare(b)).map(([name, found]) => {
    const box = element('input', {type: 'checkbox', checked: !hidden.has(name), value: name});
    box.onchange = () => {
      if (box.checked) hidden.delete(name);
      else hidden.add(name);
      refresh();
    };
    return element('label', {}, box, swatch(colour(found.class)), name);
  }));
}

function setAllClasses(shown) {
  for (const box of byId('class-list').querySelectorAll('input')) {
    box.checked = shown;
    if (shown) hidden.delete(box.value);
    else hidden.add(box.value);
  }
  refresh();
}

function refresh() {
  byId('confidence-text').textContent = confidence().toFixed(2);
  for (const panel of panels) panel.refresh?.();
}

const warnings = (answer) => (answer.warnings ? [warningText(answer)] : []);

function classificationPanel(model, answer) {
  const rows = answer.top.map(({name, probability}) => element('tr', {}, element('td', {}, name), element('td', {className: 'number'}, `${(100 * probability).toFixed(1)} %`)));
  return element('article', {className: 'panel card'}, element('h2', {}, model.name), element('table', {}, element('tbody', {}, ...rows)),
    ...warnings(answer), element('p', {className: 'soft'}, `round trip ${answer.roundTrip.toFixed(0)} ms`));
}

async function drawnPanel(model, answer) {
  const url = URL.createObjectURL(await drawn(model, picture));
  const image = element('img', {src: url, alt: `The picture with the objects that ${model.name} found`});
  image.style.width = '100%';
  return element('article', {className: 'panel card'}, element('h2', {}, model.name), image,
    ...warnings(answer), element('p', {className: 'soft'}, 'This browser cannot show this picture; the server drew it.'));
}

async function makePanel(model, answer, bitmap) {
  if (model.task === 'classify') return {element: classificationPanel(model, answer)};
  if (!bitmap) return {element: await drawnPanel(model, answer)};
  return new Panel({model, picture, bitmap, answer, filter, tell, keepsLabels: server.labels && model.task === 'detect'});
}

async function run() {
  if (!picture) return;
  const mine = ++turn, models = chosenModels();
  tell('Looking at the picture...');
  byId('panels').setAttribute('aria-busy', 'true');
  try {
    const bitmap = await createImageBitmap(picture, {imageOrientation: 'from-image'}).catch(() => null);
    // One after the other: two at once would share the processor, and their times would say nothing.
    const answers = [];
    for (const model of models) answers.push(await detect(model, picture));
    const made = await Promise.all(models.map((model, i) => makePanel(model, answers[i], bitmap)));
    if (mine !== turn) return made.forEach((panel) => panel.end?.());
    panels.forEach((panel) => panel.end?.());
    panels = made;
    listClasses(answers);
    byId('panels').replaceChildren(...panels.map((panel) => panel.element));
    refresh();
    tell(panels.length > 1 ? 'Done: two models side by side.' : 'Done.');
  } catch (error) {
    if (mine === turn) tell(`That did not work: ${error.message}`, true);
  } finally {
    if (mine === turn) byId('panels').removeAttribute('aria-busy');
  }
}

function take(file) {
  if (!file) return;
  picture = file;
  run();
}

function fromTransfer(transfer) {
  return [...(transfer?.files || [])].find((file) => file.type === '' || file.type.startsWith('image/'));
}

function listen() {
  for (const id of ['file', 'photo']) byId(id).onchange = (event) => take(event.target.files[0]);
  for (const id of ['model-0', 'model-1']) byId(id).onchange = run;
  byId('confidence').oninput = refresh;
  byId('all-classes').onclick = () => setAllClasses(true);
  byId('no-classes').onclick = () => setAllClasses(false);
  document.onpaste = (event) => take(fromTransfer(event.clipboardData));
  const target = byId('drop-target');
  document.ondragover = (event) => {
    event.preventDefault();
    target.classList.add('dropping');
  };
  document.ondragleave = (event) => event.relatedTarget || target.classList.remove('dropping');
  document.ondrop = (event) => {
    event.preventDefault();
    target.classList.remove('dropping');
    const file = fromTransfer(event.dataTransfer);
    if (file) take(file);
    else tell('That is no picture.', true);
  };
}

function listSamples() {
  byId('samples').hidden = server.samples === 0;
  for (let i = 0; i < server.samples; ++i) {
    const image = element('img', {src: `/v1/samples/${i}`, alt: `Sample picture ${i + 1}`, loading: 'lazy'});
    const button = element('button', {type: 'button'}, image);
    button.onclick = async () => {
      try {
        const blob = await sample(i);
        take(new File([blob], `sample-${i + 1}`, {type: blob.type}));
      } catch (error) {
        tell(`That did not work: ${error.message}`, true);
      }
    };
    byId('samples').append(button);
  }
}

async function start() {
  listen();
  try {
    server = await about();
  } catch (error) {
    return tell(`The server does not answer: ${error.message}`, true);
  }
  for (const id of ['model-0', 'model-1']) {
    if (id === 'model-1') byId(id).append(element('option', {value: ''}, 'none'));
    byId(id).append(...server.models.map(({name}) => element('option', {value: name}, name)));
  }
  byId('second-model').hidden = server.models.length < 2;
  byId('runs-link').hidden = !server.runs;
  listSamples();
  run();
}

start();
