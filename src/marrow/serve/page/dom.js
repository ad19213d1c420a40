// element('p', {className: 'soft'}, 'text', child...): text is never read as HTML.
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes('-')) made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

export const byId = (id) => document.getElementById(id);

export function tell(text, isError = false) {
  byId('status').textContent = text;
  byId('status').classList.toggle('error', isError);
}

export function download(name, blob) {
  const link = element('a', {href: URL.createObjectURL(blob), download: name});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

export function swatch(colour) {
  const made = element('span', {className: 'swatch', 'aria-hidden': 'true'});
  made.style.background = colour;
  return made;
}
