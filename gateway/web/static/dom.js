// Makes elements. Text is always set as text, so nothing that a unit or a person wrote becomes markup.

/** An element with attributes and children; a child that is a string becomes text, null is left out. */
export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same for SVG. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Replace an element's text if it differs, so that nothing is drawn or read aloud again in vain. */
export function put(element, text) {
  const [node, ...others] = element.childNodes;
  if (node instanceof Text && others.length === 0) {
    if (node.data !== text) node.data = text;
  } else if (element.textContent !== text) {
    element.textContent = text;
  }
}

// A shape for each state, so that colour is never the only sign.
const SHAPES = {
  free: "M12 4a8 8 0 1 1 0 16a8 8 0 1 1 0-16zm0 3a5 5 0 1 0 0 10a5 5 0 1 0 0-10z",
  "pre-cooling": "M11 2h2v6l5-3 1 2-5 3 5 3-1 2-5-3v10h-2V12l-5 3-1-2 5-3-5-3 1-2 5 3z",
  infusion: "M12 2c4 6 6 9 6 12a6 6 0 1 1-12 0c0-3 2-6 6-12z",
  counting: "M6 3l15 9-15 9z",
  paused: "M5 3h5v18H5zM14 3h5v18h-5z",
  offline: "M5 3l7 7 7-7 2 2-7 7 7 7-2 2-7-7-7 7-2-2 7-7-7-7z",
  ended: "M4 4h16v16H4z",
  well: "M3 13l2-2 4 4L19 5l2 2L9 19z",
  due: "M12 2l11 20H1zM11 9v6h2V9zM11 17v2h2v-2z",
  alarm: "M8 2h8l6 6v8l-6 6H8l-6-6V8zM11 6v8h2V6zM11 16v2h2v-2z",
};

/** The shape of a state. */
export function shape(state) {
  return svg("svg", { viewBox: "0 0 24 24", class: "shape", "aria-hidden": "true", "fill-rule": "evenodd" },
    svg("path", { d: SHAPES[state] }));
}

/** A table's head, with these texts over its columns. */
export function columns(texts) {
  return el("thead", {}, el("tr", {}, texts.map((text) => el("th", { scope: "col" }, text))));
}

/** A table's row. */
export function row(cells, kind) {
  return el("tr", { class: kind }, cells.map((cell) => el("td", {}, cell)));
}
