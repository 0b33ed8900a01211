// What overlaps on a page: of what one reads or touches, each pair of boxes of which neither holds the other.
// Text that wraps has a box a line, and what an element around cuts off does not count.
() => {
  const NAMED = "a, button, input, select, th, td, p, h1, h2, h3, label, span, strong, li";
  const hasText = (each) => [...each.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
  const shown = [...document.querySelectorAll(NAMED)].filter((each) => each.checkVisibility()
    && !each.closest(".unseen, .skip") && (hasText(each) || each.matches("input, select")));

  const boxes = shown.flatMap((element) => [...element.getClientRects()].map((rect) => clipped(element, rect)));
  const found = [];
  for (const [index, a] of boxes.entries()) {
    for (const b of boxes.slice(index + 1)) {
      if (!a.element.contains(b.element) && !b.element.contains(a.element) && overlap(a, b)) {
        found.push(`${a.element.textContent.trim()} / ${b.element.textContent.trim()}`);
      }
    }
  }
  return found;

  function clipped(element, { left, right, top, bottom }) {
    const box = { element, left, right, top, bottom };
    for (let around = element.parentElement; around; around = around.parentElement) {
      if (getComputedStyle(around).overflowX === "visible") continue;
      const clip = around.getBoundingClientRect();
      box.left = Math.max(box.left, clip.left);
      box.right = Math.min(box.right, clip.right);
    }
    return box;
  }

  function overlap(a, b) {
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    return wide > 1 && high > 1;
  }
}
