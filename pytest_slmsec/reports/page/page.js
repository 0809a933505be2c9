"use strict";
// Filters the items and shows one page of them. All texts come in as data and go out as text nodes.
(async () => {
  const PAGE = 50;
  const BLOCK = 256; // items in one block of texts
  const LONGEST_DIFF = 500; // words of a text that is compared word by word
  const KINDS = {c: "lgwb", lost: "l", gained: "g", worse: "w", better: "b", x: "x", r: "r"};
  const SAID = {l: "lost", g: "won", w: "worse", b: "better", x: "wrong", r: "right", "-": "not compared"};
  const TONE = {l: "fail", w: "fail", g: "pass", b: "pass"};
  const at = (id) => document.getElementById(id);
  const element = (name, properties, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children.filter((child) => child !== null));
    return made;
  };
  const unpacked = async (id) => {
    const bytes = Uint8Array.from(atob(at(id).textContent), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  };

  const index = await unpacked("index");
  const {models, benchmarks, categories, item: names} = index;
  const candidates = index.candidates.map(([, candidate]) => models[candidate]);
  const place = new Map(index.order.map((item, position) => [item, position]));
  const key = (item) => `${benchmarks[index.benchmark[item]]}/${names[item]}`;
  let held = {}; // the block that was unpacked last
  const textsOf = async (item) => {
    if (!place.has(item)) return null;
    const number = Math.floor(place.get(item) / BLOCK);
    if (held.number !== number) held = {number, rows: unpacked(`block-${number}`)};
    return (await held.rows)[place.get(item) % BLOCK];
  };

  // State: the fields of the form, the page, and the open item, all of it in the address.
  let page = 0;
  let open = "";
  let found = [];
  let inTexts = new Set(); // items whose texts hold what is searched
  const form = at("filters");
  at("c").append(...categories.map((name) => element("option", {value: name}, name)));
  const readAddress = () => {
    const given = new URLSearchParams(location.hash.slice(1));
    if (!["m", "k", "b", "c", "s", "q", "p", "i"].some((name) => given.has(name))) return false;
    for (const field of form.elements) {
      field.value = given.get(field.name) ?? "";
      if (field.selectedIndex < 0) field.selectedIndex = 0;
    }
    page = Math.max(0, Math.floor(Number(given.get("p")) || 0));
    open = given.get("i") ?? "";
    return true;
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
    const wrong = (item) => index.right.some((bits) => bits[item] === "0");
    found = [...names.keys()].filter((item) =>
      (!b || benchmarks[index.benchmark[item]] === b) &&
      (!c || categories[index.category[item]] === c) &&
      (!query || names[item].toLowerCase().includes(query) || inTexts.has(item)) &&
      (!k || (k === "wrong" ? wrong(item) : changed(item))));
    const extreme = s === "gain" ? Math.min : Math.max; // over the candidates
    const [first = [], ...others] = chosen.map((number) => index.loss[number]);
    const loss = others.reduce((kept, column) => kept.map((value, item) => extreme(value, column[item])), first);
    const orders = {
      "": (one, other) => loss[other] - loss[one],
      gain: (one, other) => loss[one] - loss[other],
      id: (one, other) => (names[one] < names[other] ? -1 : Number(names[one] > names[other])),
    };
    if (orders[s]) found.sort(orders[s]);
  };

  const draw = () => {
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    page = Math.min(page, pages - 1);
    at("list").replaceChildren(...found.slice(page * PAGE, (page + 1) * PAGE).map(entry));
    const [some, all] = [found, names].map((items) => items.length.toLocaleString("en"));
    at("count").textContent = `${some} of ${all} items; page ${page + 1} of ${pages}`;
    at("back").disabled = page === 0;
    at("on").disabled = page + 1 >= pages;
    writeAddress();
  };
  const entry = (item) => {
    const changes = candidates.map((candidate, number) => {
      const change = index.changes[number][item];
      return element("span", {className: TONE[change] ?? ""}, `${candidate}: ${SAID[change]}`);
    });
    const outcomes = models.map((model, number) =>
      element("span", {}, `${model}: ${{1: "right", 0: "wrong"}[index.right[number][item]] ?? "not asked"}`));
    const where = element("span", {className: "quiet"}, benchmarks[index.benchmark[item]]);
    const shown = candidates.length ? changes : outcomes;
    const folded = element("details", {}, element("summary", {}, element("strong", {}, names[item]), where, ...shown));
    folded.dataset.item = item;
    folded.addEventListener("toggle", async () => {
      if (folded.open) open = key(item);
      else if (open === key(item)) open = "";
      writeAddress();
      if (!folded.open || folded.dataset.filled) return;
      folded.dataset.filled = "yes";
      folded.append(...content(item, await textsOf(item)));
    });
    folded.open = open === key(item);
    return element("li", {}, folded);
  };

  // One item.
  const content = (item, texts) => {
    const [prompt, gold, answers] = texts ?? [null, null, null];
    const again = index.commands[index.benchmark[item]];
    const word = index.keyword[item] ?? names[item];
    const paragraph = (...children) => element("p", {}, ...children);
    return [
      texts ? null : paragraph("This page has no room for its texts; --size gives more."),
      prompt ? paragraph("Prompt") : null,
      prompt ? element("pre", {}, prompt) : null,
      gold === null ? null : paragraph(`Right: ${gold}`),
      answers ? answerTable(answers) : null,
      again && word ? paragraph("Ask it again: ", element("code", {}, `${again} ${word}`)) : null,
    ].filter(Boolean);
  };
  const answerTable = (answers) => {
    const headings = ["model", "answer", "read as", "outcome", "score", "p(correct)"];
    const head = element("tr", {}, ...headings.map((text) => element("th", {scope: "col"}, text)));
    const rows = answers.map((answer, model) => answer && answerRow(answers, answer, model));
    const table = element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows));
    return element("div", {className: "wide", tabIndex: 0, role: "region", ariaLabel: "answers"}, table);
  };
  const answerRow = (answers, [text, read, thought, right, score, probability], model) => {
    const [base] = index.candidates.find(([, candidate]) => candidate === model) ?? [];
    const before = answers[base]?.[0] ?? text;
    const said = text === null ? ["-"] : difference(before, text);
    if (thought) said.push(element("details", {}, element("summary", {}, "thought"), element("pre", {}, thought)));
    const share = probability === null ? "-" : `${(100 * probability).toFixed(1)} %`;
    const cells = [read ?? "-", right ? "right" : "wrong", String(score ?? "-"), share];
    return element("tr", {}, element("th", {scope: "row"}, models[model]), element("td", {className: "text"}, ...said),
      ...cells.map((cell) => element("td", {}, cell)));
  };

  // Words that the base did not say are underlined, words that it alone said are struck out: longest common subsequence.
  const difference = (before, after) => {
    const [a, b] = [before, after].map((text) => text.split(/(\s+)/).filter(Boolean));
    if (before === after || Math.max(a.length, b.length) > LONGEST_DIFF) return [after];
    const length = Array.from({length: a.length + 1}, () => new Uint16Array(b.length + 1));
    for (let i = a.length - 1; i >= 0; i--) {
      for (let j = b.length - 1; j >= 0; j--) {
        length[i][j] = a[i] === b[j] ? length[i + 1][j + 1] + 1 : Math.max(length[i + 1][j], length[i][j + 1]);
      }
    }
    const parts = []; // neighbours of one kind are one part
    const put = (kind, word) => {
      if (parts.at(-1)?.[0] === kind) parts.at(-1)[1] += word;
      else parts.push([kind, word]);
    };
    let [i, j] = [0, 0];
    while (i < a.length || j < b.length) {
      if (i < a.length && a[i] === b[j]) { put("same", a[i++]); j++; }
      else if (j >= b.length || (i < a.length && length[i + 1][j] >= length[i][j + 1])) put("del", a[i++]);
      else put("ins", b[j++]);
    }
    return parts.map(([kind, words]) => (kind === "same" ? words : element(kind, {}, words)));
  };

  // What the reader does.
  const show = () => { filter(); draw(); };
  const anew = () => { page = 0; open = ""; show(); };
  let search = 0;
  const searchTexts = async () => {
    const [mine, query, hits] = [++search, at("q").value.trim().toLowerCase(), new Set()];
    if (query.length < 3) return;
    for (let first = 0; first < index.order.length; first += BLOCK) {
      const rows = await unpacked(`block-${first / BLOCK}`);
      if (mine !== search) return;
      rows.forEach(([prompt, gold, answers], row) => {
        const texts = [prompt, gold, ...answers.flatMap((answer) => (answer ? answer.slice(0, 2) : []))];
        if (texts.some((text) => text?.toLowerCase().includes(query))) hits.add(index.order[first + row]);
      });
    }
    inTexts = hits;
    anew();
  };
  form.addEventListener("change", (event) => { if (event.target !== at("q")) anew(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  at("q").addEventListener("input", () => { inTexts = new Set(); anew(); searchTexts(); });
  at("clear").addEventListener("click", () => { form.reset(); anew(); });
  at("back").addEventListener("click", () => { page--; draw(); });
  at("on").addEventListener("click", () => { page++; draw(); });
  addEventListener("hashchange", () => {
    if (!readAddress()) return;
    show();
    at("items").scrollIntoView();
  });
  const step = (by) => {
    const all = [...document.querySelectorAll("#list > li > details > summary")];
    const now = all.indexOf(document.activeElement.closest("#list > li > details")?.firstChild);
    all[Math.min(Math.max(now + by, 0), all.length - 1)]?.focus();
  };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.matches("input, select, textarea");
    if (event.key === "Escape") {
      if (typing) event.target.blur();
      const folded = document.activeElement.closest("#list details") ?? document.querySelector("#list details[open]");
      if (folded) { folded.open = false; folded.firstChild.focus(); }
    } else if (!typing && event.key === "/") {
      event.preventDefault();
      at("q").focus();
    } else if (!typing && event.key === "j") step(1);
    else if (!typing && event.key === "k") step(-1);
  });
  at("static").hidden = true;
  at("live").hidden = false;
  const asked = readAddress();
  show();
  if (asked) at("items").scrollIntoView();
  document.documentElement.dataset.ready = "yes";
})();
