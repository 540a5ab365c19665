package controllers

// sight is what probe finds in the page that the browser shows.
type sight struct {
	Title, Headline string
	Overflow        int            // pixels by which the page is wider than the window
	Figures         []string       // of the summary
	Rows            int            // Services in the table
	Notices         int            //
	Cells           map[string]int // squares of the pools by state
	Elements        int            // of the whole document
	Background      string
	Faint           []string // texts whose contrast with what is behind them is too low (WCAG 2.2, 1.4.3)
	Unnamed         []string // controls, images and tables without a name or headings
	Loaded          float64  // ms from the request until the document was there
}

// probe returns a sight. It looks at computed styles, so at what a person sees.
const probe = `(() => {
  const colour = (text) => {
    const m = text.match(/[\d.]+/g).map(Number);
    return {rgb: m.slice(0, 3), alpha: m.length > 3 ? m[3] : 1};
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (el) => {
    for (; el; el = el.parentElement) {
      const c = colour(getComputedStyle(el).backgroundColor);
      if (c.alpha === 1) return c.rgb;
    }
    return [255, 255, 255];
  };
  const contrast = (a, b) => {
    const [hi, lo] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (hi + 0.05) / (lo + 0.05);
  };
  const faint = [];
  for (const el of document.querySelectorAll("body *")) {
    const own = [...el.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) || el.matches("input");
    if (!own || !el.checkVisibility()) continue;
    const style = getComputedStyle(el), size = parseFloat(style.fontSize);
    const least = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
    const colours = [[style.color, el], ...["::before", "::placeholder"].map((p) => [getComputedStyle(el, p).color, el])];
    for (const [text, at] of colours) {
      const ratio = contrast(colour(text).rgb, behind(at));
      if (ratio < least) faint.push(el.tagName + "." + el.className + " " + ratio.toFixed(2) + " " + el.textContent.trim().slice(0, 40));
    }
  }
  const unnamed = [...document.querySelectorAll("img:not([alt]), [role=img]:not([aria-label]), input:not([aria-label])")]
    .filter((el) => !(el.id && document.querySelector("label[for=" + el.id + "]"))).map((el) => el.outerHTML.slice(0, 80));
  for (const table of document.querySelectorAll("table")) if (!table.querySelector("thead th[scope=col]")) unnamed.push("a table without headings");
  const cells = {};
  for (const c of document.querySelectorAll(".cells .c")) {
    const state = c.classList[1];
    cells[state] = (cells[state] || 0) + 1;
    if (!c.title) unnamed.push("a square without a title");
  }
  const all = (s) => [...document.querySelectorAll(s)];
  return {
    Title: document.title, Headline: document.querySelector("h1").textContent,
    Overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    Figures: all(".figures dd").map((d) => d.textContent), Rows: all("#rows tbody tr").length, Notices: all(".notice").length,
    Cells: cells, Elements: all("*").length, Background: getComputedStyle(document.body).backgroundColor,
    Faint: faint, Unnamed: unnamed, Loaded: performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd,
  };
})()`
