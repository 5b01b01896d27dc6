// Draws every chart of the page with the one plotly.js that the site carries, in the
// page's own colours, and makes its tables easy to read. No page needs it to be read.
(() => {
  "use strict";

  const narrow = window.matchMedia("(max-width: 600px)");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const LONGEST_NARROW_LABEL = 21;
  // Room for "about 1,200× faster" beside the plot, in the small type of a phone.
  const ANNOTATIONS_PX = 108;

  const charts = [...document.querySelectorAll("figure.chart")].map((figure) => ({
    plot: figure.querySelector(".chart-plot"),
    spec: JSON.parse(figure.querySelector("script[type='application/json']").textContent),
  }));

  const colour = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();

  // The end of a label tells queries apart as well: it names the parameter class.
  const shorten = (text) =>
    text.length <= LONGEST_NARROW_LABEL ? text : `${text.slice(0, 8)}…${text.slice(-12)}`;

  function shortLabels(data, letter) {
    const words = data.flatMap((trace) => (Array.isArray(trace[letter]) ? trace[letter] : []));
    const texts = words.filter((word) => typeof word === "string" && !/^\d{4}-/.test(word));
    return Object.fromEntries(texts.map((text) => [text, shorten(text)]));
  }

  const axesOf = (layout) =>
    [...new Set(["xaxis", "yaxis", ...Object.keys(layout)])].filter((name) => /^[xy]axis\d*$/.test(name));

  // Plotly's own grid is made for white paper.
  function gridFor(layout, name) {
    const template = layout.template?.layout?.[name.slice(0, 5)] ?? {};
    const grid = "rgba(128,128,128,.25)";
    return template.gridcolor ? {} : { gridcolor: grid, zerolinecolor: grid };
  }

  function layoutFor({ spec }, ink, paper) {
    const layout = structuredClone(spec.layout);
    layout.font = { family: "system-ui, sans-serif", ...layout.font, color: ink };
    layout.paper_bgcolor = layout.plot_bgcolor = "rgba(0,0,0,0)";
    layout.hoverlabel = { ...layout.hoverlabel, bgcolor: paper, font: { color: ink } };
    layout.modebar = { ...layout.modebar, bgcolor: "rgba(0,0,0,0)", color: ink, activecolor: ink };
    layout.autosize = true;
    delete layout.width;
    for (const name of axesOf(layout)) {
      const ours = { automargin: true, ...gridFor(layout, name) };
      layout[name] = { ...ours, ...layout[name] };
    }
    return narrow.matches ? narrowed(layout, spec.data) : layout;
  }

  // A phone has no room beside the plot, and a finger that scrolls must not zoom.
  function narrowed(layout, data) {
    layout.dragmode = false;
    layout.font.size = 11;
    const right = layout.annotations?.length ? ANNOTATIONS_PX : 8;
    layout.margin = { ...layout.margin, l: 8, r: Math.min(layout.margin?.r ?? 8, right) };
    layout.annotations?.forEach((note) => (note.font = { ...note.font, size: 10 }));
    layout.legend = {
      ...layout.legend,
      orientation: "h", x: 0, xanchor: "left", xref: "container",
      y: 1, yanchor: "top", yref: "container",
    };
    for (const name of axesOf(layout)) {
      const labelalias = { ...shortLabels(data, name[0]), ...layout[name]?.labelalias };
      layout[name] = { ...layout[name], automargin: true, labelalias };
    }
    return layout;
  }

  async function draw(ink, paper) {
    const config = { displaylogo: false, displayModeBar: "hover", responsive: true };
    for (const chart of charts) {
      try {
        const layout = layoutFor(chart, ink, paper);
        await Plotly.react(chart.plot, structuredClone(chart.spec.data), layout, config);
      } catch (error) {
        chart.plot.textContent = "This chart could not be drawn.";
        console.error("chart not drawn:", error);
      }
    }
    document.documentElement.dataset.charts = "drawn";
  }

  const drawForPage = () =>
    draw(colour("--color-foreground-primary"), colour("--color-background-primary"));

  function start() {
    drawForPage();
    new MutationObserver(drawForPage).observe(document.body, {
      attributes: true,
      attributeFilter: ["data-theme"],
    });
    dark.addEventListener("change", drawForPage);
    narrow.addEventListener("change", drawForPage);
    // Paper is white, whatever the screen was.
    window.addEventListener("beforeprint", () => draw("#000", "#fff"));
    window.addEventListener("afterprint", drawForPage);
    // A chart inside a folded part has no width until it is opened.
    document.addEventListener(
      "toggle",
      ({ target }) => target.querySelectorAll(".js-plotly-plot").forEach(Plotly.Plots.resize),
      true,
    );
  }

  if (charts.length > 0) {
    const script = document.createElement("script");
    script.src = `${document.documentElement.dataset.content_root}_static/plotly.min.js`;
    script.onload = start;
    script.onerror = () => console.error("plotly.min.js is missing beside this page");
    document.head.append(script);
  }

  // Numbers stand under numbers: a column that holds nothing else is set to the right.
  const NUMBER = /^[<>≈~±+−-]?\s*\d[\d\s,.’'_]*(e[+-]?\d+)?\s*(%|×|x|ns|µs|ms|s|min|h|B|kB|KiB|MB|MiB|GB|GiB)?$/i;
  const NOTHING = new Set(["", "NaN", "None", "<NA>", "NaT", "—", "–", "-"]);

  // Columns are counted from the right: heads that span rows stand at the left.
  function alignColumns(table) {
    const rows = [...(table.tBodies[0]?.rows ?? [])];
    const headed = [...(table.tHead?.rows ?? [])];
    const isSpanned = rows.some(({ cells }) => [...cells].some((cell) => cell.rowSpan > 1));
    const width = Math.max(0, ...rows.map(({ cells }) => cells.length));
    for (let back = 1; back <= width; back += 1) {
      const cells = rows.map((row) => row.cells[row.cells.length - back]).filter((cell) => cell);
      if (isSpanned && cells.some((cell) => cell.tagName === "TH")) continue;
      const texts = cells.map((cell) => cell.textContent.trim()).filter((text) => !NOTHING.has(text));
      if (texts.length === 0 || !texts.every((text) => NUMBER.test(text))) continue;
      const heads = headed.map((row) => row.cells[row.cells.length - back]);
      const narrow = heads.filter((cell) => cell?.colSpan === 1);
      [...cells, ...narrow].forEach((cell) => cell.classList.add("number"));
    }
  }

  // A box that scrolls must be reachable by keyboard too.
  function reachable(box) {
    const isCut = box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight;
    if (isCut) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }

  document.querySelectorAll("table.dataframe, table.docutils").forEach(alignColumns);
  const boxes = [...document.querySelectorAll(".cell_output .text_html, .table-wrapper, .highlight pre")];
  const checkBoxes = () => boxes.forEach(reachable);
  checkBoxes();
  window.addEventListener("resize", checkBoxes);
})();
