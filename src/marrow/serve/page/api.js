// What the page asks of the server that it came from.

async function checked(response) {
  if (response.ok) return response;
  let text = `${response.status} ${response.statusText}`;
  try {
    text = (await response.json()).error || text;
  } catch { /* not JSON: the status says it */ }
  throw new Error(text);
}

export async function get(path) {
  return (await checked(await fetch(path))).json();
}

// {"models": [{"name", "task", "classes", "limbs"}], "samples": number, "runs": bool, "labels": bool}
export const about = () => get('/v1/models');

export async function sample(number) {
  return (await checked(await fetch(`/v1/samples/${number}`))).blob();
}

// Server-Timing: decode;dur=1.5, queue;dur=0.1, inference;dur=12 -> {decode: 1.5, queue: 0.1, inference: 12}
export function timings(header) {
  const found = {};
  for (const entry of (header || '').split(',')) {
    const match = /^\s*([a-z]+);dur=([0-9.]+)\s*$/.exec(entry);
    if (match) found[match[1]] = Number(match[2]);
  }
  return found;
}

// The answer, with `roundTrip` and `timings` in milliseconds. Boxes of low confidence come too: the page filters them.
export async function detect(model, picture) {
  const classifies = model.task === 'classify';
  const query = new URLSearchParams(classifies ? {model: model.name, top: '5'} : {model: model.name, conf: '0.01'});
  const start = performance.now();
  const response = await checked(await fetch(`/v1/${classifies ? 'classify' : 'detect'}?${query}`, {method: 'POST', body: picture, headers: {'Content-Type': 'application/octet-stream'}}));
  const answer = await response.json();
  answer.roundTrip = performance.now() - start;
  answer.timings = timings(response.headers.get('Server-Timing'));
  return answer;
}

// The picture with its boxes, drawn by the server: for kinds of pictures that the browser cannot show.
export async function drawn(model, picture) {
  const query = new URLSearchParams({model: model.name});
  const response = await checked(await fetch(`/v1/detect?${query}`, {method: 'POST', body: picture, headers: {Accept: 'image/jpeg', 'Content-Type': 'application/octet-stream'}}));
  return response.blob();
}

// boxes: [{"class": number, "box": [x1, y1, x2, y2]}], in pixels of the picture.
export async function saveLabels(model, picture, labels) {
  const form = new FormData();
  form.append('image', picture, picture.name || 'picture');
  form.append('labels', JSON.stringify(labels));
  return (await checked(await fetch(`/v1/labels?${new URLSearchParams({model: model.name})}`, {method: 'POST', body: form}))).json();
}
