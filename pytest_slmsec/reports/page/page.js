"use strict";
// Filters the items and shows one page of them. All texts come in as data and go out as text nodes.
(async () => {
  const PAGE = 50;
  const BLOCK = 256; // items in one block of texts
  const LONGEST_DIFF = 500; // words of a text that is compared word by word
  const KINDS = {c: "lgwb", lost: "l", gained: "g", worse: "w", better: "b", x: "x", r: "r"};
  const SAID = {l: "lost", g: "won", w: "worse", b: "better", x: "wrong", r: "right", "-": "not compared",
    0: "wrong", 1: "right", "?": "not asked"};
  const TONE = {l: "fail", w: "fail", g: "pass", b: "pass"};
  const at = (id) => document.getElementById(id);
  const on = (target, event, act) => target.addEventListener(event, act);
  const element = (kind, ...children) => { // kind: its name, or name.class
    const [name, className] = kind.split(".");
    const made = document.createElement(name);
    if (className) made.className = className;
    made.append(...children.filter(Boolean));
    return made;
  };
  const unpacked = async (id) => {
    const bytes = Uint8Array.from(atob(at(id).textContent), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).json();
  };

  const index = await unpacked("index");
  const {models, benchmarks, categories, order, item: names} = index;
  const candidates = index.candidates.map(([, candidate]) => models[candidate]);
  const key = (item) => `${benchmarks[index.benchmark[item]]}/${names[item]}`;
  const textsOf = async (item) => {
    const position = order.indexOf(item);
    if (position < 0) return [];
    const rows = await unpacked(`block-${Math.floor(position / BLOCK)}`);
    return rows[position % BLOCK];
  };

  // State: the fields of the form, the page, and the open item, all of it in the address.
  let page = 0;
  let open = "";
  let found = [];
  let inTexts = new Set(); // items whose texts hold what is searched
  const form = at("filters");
  at("c").append(...categories.map((name) => new Option(name, name)));
  const readAddress = () => {
    const given = new URLSearchParams(location.hash.slice(1));
    for (const field of form.elements) {
      field.value = given.get(field.name) ?? "";
      if (field.selectedIndex < 0) field.selectedIndex = 0;
    }
    page = parseInt(given.get("p")) || 0;
    open = given.get("i") ?? "";
  };
  const writeAddress = () => {
    const all = [...new FormData(form), ["p", page || ""], ["i", open]];
    history.replaceState(null, "", `#${new URLSearchParams(all.filter(([, value]) => value))}`);
  };

  const filter = () => {
    const {m, k, b, c, s, q} = Object.fromEntries(new FormData(form));
    const query = q.trim().toLowerCase();
    const chosen = [...candidates.keys()].filter((number) => !m || candidates[number] === m);
    const changed = (item) => chosen.some((number) => KINDS[k].includes(index.changes[number][item]));
    const wrong = (item) => index.right.some((column) => column[item] === "0");
    found = [...names.keys()].filter((item) =>
      (!b || benchmarks[index.benchmark[item]] === b) &&
      (!c || categories[index.category[item]] === c) &&
      (!query || names[item].toLowerCase().includes(query) || inTexts.has(item)) &&
      (!k || (k === "wrong" ? wrong(item) : changed(item))));
    if (s === "id") found.sort((one, other) => (names[one] > names[other]) - (names[one] < names[other]));
    if (s === "data" || s === "id") return;
    const sign = s === "gain" ? -1 : 1;
    const most = names.map((_, item) => Math.max(...chosen.map((number) => sign * index.loss[number][item])));
    found.sort((one, other) => most[other] - most[one]);
  };

  const draw = () => {
    const pages = Math.ceil(found.length / PAGE) || 1;
    page = Math.max(0, Math.min(page, pages - 1));
    at("list").replaceChildren(...found.slice(page * PAGE, (page + 1) * PAGE).map(entry));
    const [some, all] = [found, names].map((items) => items.length.toLocaleString("en"));
    at("count").textContent = `${some} of ${all} items; page ${page + 1} of ${pages}`;
    at("back").disabled = page === 0;
    at("on").disabled = page + 1 === pages;
    writeAddress();
  };
  const entry = (item) => {
    const [columns, said] = candidates.length ? [candidates, index.changes] : [models, index.right];
    const outcomes = columns.map((name, number) => {
      const letter = said[number][item];
      return element(`span.${TONE[letter] ?? ""}`, `${name}: ${SAID[letter]}`);
    });
    const where = element("span.quiet", benchmarks[index.benchmark[item]]);
    const folded = element("details", element("summary", element("strong", names[item]), where, ...outcomes));
    folded.dataset.item = item;
    let filled = false;
    on(folded, "toggle", async () => {
      if (folded.open) open = key(item);
      else if (open === key(item)) open = "";
      writeAddress();
      if (filled) return;
      filled = true;
      folded.append(content(item, ...await textsOf(item)));
    });
    folded.open = open === key(item);
    return element("li", folded);
  };

  // One item. Without `answers` the page has no room for it.
  const content = (item, prompt, gold, answers) => {
    const again = index.commands[index.benchmark[item]];
    const word = index.keyword[item] ?? names[item];
    return element("div",
      answers ? null : element("p", "This page has no room for its texts; --size gives more."),
      prompt && element("p", "Prompt"),
      prompt && element("pre", prompt),
      gold != null && element("p", `Right: ${gold}`),
      answers && answerTable(answers),
      again && word && element("p", "Ask it again: ", element("code", `${again} ${word}`)));
  };
  const answerTable = (answers) => {
    const table = at("answers").content.cloneNode(true);
    const rows = answers.map((answer, model) => answer && answerRow(answers, answer, model));
    table.querySelector("tbody").append(...rows.filter(Boolean));
    return table;
  };
  const answerRow = (answers, [text, read, thought, ...facts], model) => {
    const [base] = index.candidates.find(([, candidate]) => candidate === model) ?? [];
    const said = text === null ? ["-"] : difference(answers[base]?.[0] ?? text, text);
    if (thought) said.push(element("details", element("summary", "thought"), element("pre", thought)));
    const heading = element("th", models[model]);
    heading.scope = "row";
    const cells = [read ?? "-", ...facts].map((fact) => element("td", fact));
    return element("tr", heading, element("td.text", ...said), ...cells);
  };

  // Words that the base did not say are underlined, words that it alone said are struck out: longest common subsequence.
  const difference = (before, after) => {
    const [a, b] = [before, after].map((text) => text.split(/(\s+)/).filter(Boolean));
    if (before === after || Math.max(a.length, b.length) > LONGEST_DIFF) return [after];
    const common = Array.from({length: a.length + 1}, () => new Uint16Array(b.length + 1)); // words from i and j on
    for (let i = a.length - 1; i >= 0; i--) {
      for (let j = b.length - 1; j >= 0; j--) {
        common[i][j] = a[i] === b[j] ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
      }
    }
    const parts = []; // neighbours of one kind are one part
    for (let i = 0, j = 0; i < a.length || j < b.length;) {
      const gone = j === b.length || common[i + 1]?.[j] >= common[i][j + 1];
      const kind = a[i] === b[j] ? "span" : gone ? "del" : "ins";
      if (parts.at(-1)?.localName !== kind) parts.push(element(kind));
      parts.at(-1).append(kind === "ins" ? b[j] : a[i]);
      if (kind !== "ins") i++;
      if (kind !== "del") j++;
    }
    return parts;
  };

  // What the reader does.
  const show = () => { filter(); draw(); };
  const anew = () => { page = 0; open = ""; show(); };
  let search = 0;
  const searchTexts = async () => {
    const [mine, query, hits] = [++search, at("q").value.trim().toLowerCase(), new Set()];
    if (query.length < 3) return;
    for (let first = 0; first < order.length; first += BLOCK) {
      const rows = await unpacked(`block-${first / BLOCK}`);
      if (mine !== search) return;
      rows.forEach(([prompt, gold, answers], row) => {
        const texts = [prompt, gold, ...answers.flatMap((answer) => answer?.slice(0, 2))];
        if (texts.some((text) => text?.toLowerCase().includes(query))) hits.add(order[first + row]);
      });
    }
    inTexts = hits;
    anew();
  };
  on(form, "change", (event) => { if (event.target !== at("q")) anew(); });
  on(form, "submit", (event) => event.preventDefault());
  on(at("q"), "input", () => { inTexts = new Set(); anew(); searchTexts(); });
  on(at("clear"), "click", () => { form.reset(); anew(); });
  on(at("back"), "click", () => { page--; draw(); });
  on(at("on"), "click", () => { page++; draw(); });
  const isState = () => location.hash.includes("="); // otherwise it leads to a section
  const showAddress = () => { readAddress(); show(); at("items").scrollIntoView(); };
  on(window, "hashchange", () => { if (isState()) showAddress(); });
  const step = (by) => {
    const all = [...document.querySelectorAll("#list > li > details > summary")];
    const now = all.findIndex((summary) => summary.parentNode.contains(document.activeElement));
    (all[now + by] ?? all[now] ?? all[0])?.focus();
  };
  const close = () => {
    const folded = document.activeElement.closest("#list details") ?? document.querySelector("#list details[open]");
    if (folded) { folded.open = false; folded.firstChild.focus(); }
  };
  const keys = {"/": () => at("q").focus(), j: () => step(1), k: () => step(-1), Escape: close};
  on(window, "keydown", (event) => {
    const typing = event.target.matches("input, select, textarea");
    if (typing && event.key === "Escape") event.target.blur();
    else if (!typing && !event.ctrlKey && !event.metaKey && !event.altKey && keys[event.key]) {
      event.preventDefault();
      keys[event.key]();
    }
  });
  at("static").hidden = true;
  at("live").hidden = false;
  if (isState()) showAddress();
  else show();
  document.documentElement.dataset.ready = "yes";
})();
