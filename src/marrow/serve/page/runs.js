// The page of training runs: their curves as they grow, best and last epochs, pictures, several compared.
import {get} from './api.js';
import {chart} from './chart.js';
import {distinctColour} from './colours.js';
import {byId, element, swatch, tell} from './dom.js';

const EVERY = 5000;  // ms
const chosen = new Map();  // the runs' ids; each has a number of its own, by which it has its colour
let known = '';

// [title, [column, what it is called, dashed]...]: columns that no chosen run has are left out.
const CHARTS = [
  ['mAP50-95', ['metrics/mAP50-95(B)', 'validation']],
  ['mAP50', ['metrics/mAP50(B)', 'validation']],
  ['mAP50-95 of masks', ['metrics/mAP50-95(M)', 'validation']],
  ['mAP50 of masks', ['metrics/mAP50(M)', 'validation']],
  ['mAP50-95 of keypoints', ['metrics/mAP50-95(P)', 'validation']],
  ['mAP50 of keypoints', ['metrics/mAP50(P)', 'validation']],
  ['Precision (recall dashed)', ['metrics/precision(B)', 'precision'], ['metrics/recall(B)', 'recall', true]],
  ['Accuracy (top 5 dashed)', ['metrics/accuracy_top1', 'top 1'], ['metrics/accuracy_top5', 'top 5', true]],
  ['Box loss (validation dashed)', ['train/box_loss', 'training'], ['val/box_loss', 'validation', true]],
  ['Mask loss (validation dashed)', ['train/seg_loss', 'training'], ['val/seg_loss', 'validation', true]],
  ['Keypoint loss (validation dashed)', ['train/pose_loss', 'training'], ['val/pose_loss', 'validation', true]],
  ['Visibility loss (validation dashed)', ['train/kobj_loss', 'training'], ['val/kobj_loss', 'validation', true]],
  ['Angle loss (validation dashed)', ['train/angle_loss', 'training'], ['val/angle_loss', 'validation', true]],
  ['Class loss (validation dashed)', ['train/cls_loss', 'training'], ['val/cls_loss', 'validation', true]],
  ['Distribution loss (validation dashed)', ['train/dfl_loss', 'training'], ['val/dfl_loss', 'validation', true]],
  ['Loss (validation dashed)', ['train/loss', 'training'], ['val/loss', 'validation', true]],
  ['Learning rate', ['lr/pg0', 'weights']],
];

function colour(id) {
  return distinctColour(chosen.get(id) ?? 0);  // a run that was left while its numbers came
}

function choose(id) {
  const taken = [...chosen.values()];
  let free = 0;
  while (taken.includes(free)) ++free;
  chosen.set(id, free);
}

// {"columns": [...], "rows": [[...]...]} -> the points of one column; epochs without validation have null there.
function points(run, column) {
  const at = run.columns.indexOf(column), epoch = run.columns.indexOf('epoch');
  return at < 0 ? [] : run.rows.map((row, i) => [epoch < 0 ? i + 1 : row[epoch], row[at]]).filter(([, value]) => Number.isFinite(value));
}

function drawCharts(runs) {
  const made = [];
  for (const [title, ...columns] of CHARTS) {
    const curves = runs.flatMap((run) => columns.map(([column, label, dashed]) => ({label: `${run.name} ${label}`, colour: colour(run.id), dashed, points: points(run, column)})));
    if (curves.some((curve) => curve.points.length)) made.push(chart(title, curves));
  }
  byId('charts').replaceChildren(...made);
}

// What the run's task is about.
function score(run) {
  for (const column of ['metrics/mAP50-95(M)', 'metrics/mAP50-95(P)', 'metrics/mAP50-95(B)', 'metrics/accuracy_top1']) {
    const found = points(run, column);
    if (found.length) return {name: column.replace('metrics/', ''), found};
  }
  return {name: '', found: []};
}

// `named`: whether the runs shown have different measures.
function summaryRow(run, named) {
  const {name, found} = score(run);
  const best = found.reduce((a, b) => (b[1] > a[1] ? b : a), found[0] || ['', NaN]), last = found.at(-1) || ['', NaN];
  const cell = ([epoch, value]) => element('td', {className: 'number'}, Number.isFinite(value) ? `${value.toFixed(4)}${named ? ` ${name}` : ''} (epoch ${epoch})` : '');
  const done = run.epochs ? `${run.rows.length} of ${run.epochs}` : String(run.rows.length);
  return element('tr', {}, element('td', {}, swatch(colour(run.id))), element('td', {}, run.name), element('td', {}, run.model), element('td', {className: 'number'}, done), cell(best), cell(last));
}

function drawSummary(runs) {
  const measures = [...new Set(runs.map((run) => score(run).name).filter(Boolean))], named = measures.length > 1;
  const measure = measures.length === 1 ? ` ${measures[0]}` : '';
  const heads = ['', 'Run', 'Model', 'Epochs', `Best${measure}`, `Last${measure}`].map((text) => element('th', {scope: 'col'}, text));
  byId('summary').replaceChildren(element('h2', {}, 'Best and last'),
    element('table', {}, element('thead', {}, element('tr', {}, ...heads)), element('tbody', {}, ...runs.map((run) => summaryRow(run, named)))),
    ...runs.filter((run) => run.classes.length).map((run) => element('p', {className: 'soft'}, `${run.name}: ${run.classes.length} classes: ${run.classes.join(', ')}`)));
}

function drawPictures(runs) {
  const pictures = runs.flatMap((run) => run.pictures.map((name) => ({run, name})));
  byId('pictures-card').hidden = pictures.length === 0;
  byId('pictures').replaceChildren(...pictures.map(({run, name}) => {
    const path = `/v1/runs/${run.id}/${encodeURIComponent(name)}`;
    return element('a', {href: path, target: '_blank'}, element('img', {src: path, alt: `${run.name}: ${name}`, loading: 'lazy'}), `${run.name}: ${name}`);
  }));
}

async function show() {
  try {
    const runs = await Promise.all([...chosen.keys()].sort((a, b) => a - b).map((id) => get(`/v1/runs/${id}`)));
    const state = JSON.stringify(runs);
    if (state === known) return;
    known = state;
    drawSummary(runs);
    drawCharts(runs);
    drawPictures(runs);
    tell(runs.length ? '' : 'No run is chosen.');
  } catch (error) {
    tell(`That did not work: ${error.message}`, true);
  }
}

async function start() {
  try {
    const {runs} = await get('/v1/runs');
    if (!runs.length) return tell('There are no runs here yet.');
    for (const {id, name} of runs) {
      const box = element('input', {type: 'checkbox', checked: id === runs[0].id});
      box.onchange = () => {
        if (box.checked) choose(id);
        else chosen.delete(id);
        show();
      };
      byId('run-list').append(element('label', {className: 'row'}, box, ' ', name));
    }
    choose(runs[0].id);
    await show();
    setInterval(() => document.hidden || show(), EVERY);
  } catch (error) {
    tell(`That did not work: ${error.message}`, true);
  }
}

start();
