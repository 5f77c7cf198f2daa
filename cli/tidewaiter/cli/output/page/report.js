"use strict";
// The list of findings: filters, search and keys. Everything shown is set as text, never as markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const [RULE, LEVEL, FILE, LINE, COLUMN, END_LINE, END_COLUMN, MESSAGE, OBJECT, NAMESPACE, CONTAINER, POINTER, REMEDY, NOTE, CUT] =
    Array(15).keys();
  const CHUNK = 40;
  const findings = data.findings;
  const list = document.getElementById("findings");
  const more = document.getElementById("more");
  const output = document.getElementById("count");
  const form = document.getElementById("filters");
  const search = form.elements.search;
  const fields = { level: LEVEL, rule: RULE, namespace: NAMESPACE, file: FILE };
  const number = new Intl.NumberFormat("en");
  let texts = null;
  let shown = [];
  let drawn = 0;
  let heading = -1;
  let perFile = new Map();

  const element = (name, className, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  const searchable = () => {
    texts ??= findings.map((row) =>
      [data.rules[row[RULE]], row[MESSAGE], row[OBJECT], row[CONTAINER], data.files[row[FILE]], row[POINTER]]
        .join("\n").toLowerCase());
    return texts;
  };

  const select = () => {
    const wanted = Object.entries(fields)
      .map(([name, column]) => [column, form.elements[name].value])
      .filter(([, value]) => value !== "")
      .map(([column, value]) => [column, Number(value)]);
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const haystack = words.length ? searchable() : null;
    shown = [];
    findings.forEach((row, index) => {
      if (wanted.every(([column, value]) => row[column] === value) &&
          words.every((word) => haystack[index].includes(word))) shown.push(index);
    });
    if (form.elements.order.value === "severity") {
      shown.sort((a, b) => findings[a][LEVEL] - findings[b][LEVEL] || a - b);
    }
    perFile = new Map();
    for (const index of shown) {
      const file = findings[index][FILE];
      perFile.set(file, (perFile.get(file) ?? 0) + 1);
    }
    const all = shown.length === findings.length;
    output.textContent = all
      ? `${number.format(findings.length)} findings`
      : `${number.format(shown.length)} of ${number.format(findings.length)} findings`;
    for (const button of document.querySelectorAll("button[data-field]")) {
      button.setAttribute("aria-pressed", String(form.elements[button.dataset.field].value === button.dataset.value));
    }
    document.getElementById("clear").hidden = all && !search.value && !wanted.length;
    list.replaceChildren();
    drawn = 0;
    heading = -1;
    draw();
  };

  const draw = () => {
    const part = document.createDocumentFragment();
    const grouped = form.elements.order.value !== "severity";
    for (const index of shown.slice(drawn, drawn + CHUNK)) {
      const row = findings[index];
      if (grouped && row[FILE] !== heading) {
        heading = row[FILE];
        const head = element("h3", "file", data.files[heading]);
        head.append(element("small", "", number.format(perFile.get(heading))));
        part.append(head);
      }
      part.append(card(row));
    }
    drawn = Math.min(drawn + CHUNK, shown.length);
    if (!shown.length) part.append(element("p", "empty", "No finding matches."));
    list.append(part);
    more.hidden = drawn >= shown.length;
  };

  const card = (row) => {
    const level = data.levels[row[LEVEL]];
    const made = element("details", `finding ${level}`);
    const head = element("summary");
    head.append(element("span", `badge ${level}`, level), element("span", "message", row[MESSAGE]));
    const place = form.elements.order.value === "severity" ? `${data.files[row[FILE]]}:${row[LINE]}` : `line ${row[LINE]}`;
    head.append(element("span", "place", place));
    const about = element("span", "about");
    about.append(element("b", "", data.rules[row[RULE]]));
    const subject = [row[OBJECT], row[CONTAINER] && `container ${row[CONTAINER]}`].filter(Boolean).join(", ");
    if (subject) about.append(` · ${subject}`);
    head.append(about);
    made.append(head);
    made.addEventListener("toggle", () => { if (made.open && !made.querySelector(".details")) made.append(body(row)); });
    return made;
  };

  const body = (row) => {
    const made = element("div", "details");
    const source = excerpt(row);
    if (source) made.append(source);
    if (row[NOTE]) made.append(element("p", "", row[NOTE]));
    const [sentence, snippet] = data.remedies[row[REMEDY]];
    if (sentence) {
      const remedy = element("p");
      remedy.append(element("b", "", "Remedy: "), sentence);
      made.append(remedy);
      if (snippet) made.append(element("pre", "remedy", snippet));
    }
    const where = element("p", "pointer");
    where.append(element("code", "", `${data.files[row[FILE]]}:${row[LINE]}:${row[COLUMN]} ${row[POINTER]}`), " · ");
    const link = element("a", "", `about ${data.rules[row[RULE]]}`);
    link.href = `#rule-${row[RULE]}`;
    where.append(link);
    made.append(where);
    return made;
  };

  const excerpt = (row) => {
    const lines = data.lines[row[FILE]] ?? {};
    const made = element("pre", "source");
    made.tabIndex = 0;
    made.setAttribute("aria-label", `Source of ${data.files[row[FILE]]} around line ${row[LINE]}`);
    for (let line = row[LINE] - data.around; line <= row[LINE] + data.around; line += 1) {
      const isHit = line === row[LINE];
      const [text, column] = isHit && row[CUT] ? row[CUT] : [lines[line], row[COLUMN]];
      if (text === undefined) continue;
      const shownLine = element("div", isHit ? "hit" : "");
      shownLine.append(element("span", "number", String(line)));
      if (isHit) {
        const letters = Array.from(text);
        const end = row[END_LINE] === line ? column + row[END_COLUMN] - row[COLUMN] : letters.length + 1;
        const code = element("span");
        code.append(
          letters.slice(0, column - 1).join(""),
          element("mark", "", letters.slice(column - 1, end - 1).join("")),
          letters.slice(end - 1).join(""));
        shownLine.append(code);
      } else {
        shownLine.append(element("span", "", text));
      }
      made.append(shownLine);
    }
    return made.childElementCount ? made : null;
  };

  let waiting = 0;
  const later = () => { clearTimeout(waiting); waiting = setTimeout(select, 80); };
  search.addEventListener("input", later);
  form.addEventListener("change", (event) => { if (event.target !== search) select(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(select));
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-field]");
    if (!button) return;
    const field = form.elements[button.dataset.field];
    field.value = field.value === button.dataset.value ? "" : button.dataset.value;
    select();
    if (button.closest(".rule")) document.getElementById("list").scrollIntoView();
  });
  document.getElementById("open").addEventListener("click", (event) => {
    const open = event.target.getAttribute("aria-pressed") !== "true";
    event.target.setAttribute("aria-pressed", String(open));
    event.target.textContent = open ? "Close all" : "Open all";
    for (const each of list.querySelectorAll("details")) each.open = open;
  });
  document.getElementById("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.matches("input, select");
    if (event.key === "/" && !typing) {
      event.preventDefault();
      search.focus();
    } else if (event.key === "Escape" && typing) {
      search.value = "";
      event.target.blur();
      select();
    } else if (!typing && (event.key === "j" || event.key === "k")) {
      const heads = [...list.querySelectorAll("summary")];
      const here = heads.indexOf(document.activeElement?.closest("details")?.querySelector("summary"));
      if (event.key === "j" && here === heads.length - 1 && !more.hidden) { draw(); heads.push(...[...list.querySelectorAll("summary")].slice(heads.length)); }
      const next = heads[event.key === "j" ? here + 1 : Math.max(here - 1, 0)];
      if (next) { next.focus(); next.scrollIntoView({ block: "nearest" }); }
    }
  });
  more.addEventListener("click", draw);
  new IntersectionObserver((seen) => { if (seen.some((each) => each.isIntersecting) && !more.hidden) draw(); },
    { rootMargin: "1200px" }).observe(more);
  select();
  const first = list.querySelector("details");
  if (first) first.open = true;
})();
