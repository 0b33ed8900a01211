// The page's texts in its language, as the catalogue on the gateway has them.

const root = document.documentElement;
const answer = await fetch(`/texts/${root.dataset.assets}/${root.lang}.json`);
const texts = await answer.json();

/** The text of a key, with {words in braces} replaced; the key itself where there is none. */
export function t(key, words = {}) {
  const text = texts[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in words ? String(words[name]) : whole));
}

/** The text of a code such as `cap-removed` or `no_order`, of a kind; the code itself where a machine said another. */
export function word(kind, code) {
  return texts[`${kind}.${code.replaceAll(/[_ ]/g, "-")}`] ?? code;
}

/** An amount of money as the page's language writes it. */
export function money(amount, currency) {
  return amount.toLocaleString(root.lang, { style: "currency", currency });
}

/** A number as the page's language writes it, with so many decimals at most and at least. */
export function number(value, most = 2, least = 0) {
  return value.toLocaleString(root.lang, { minimumFractionDigits: least, maximumFractionDigits: most });
}
