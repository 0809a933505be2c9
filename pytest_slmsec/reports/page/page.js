"use strict";
// Filters the items and shows one page of them. All texts come in as data and go out as text nodes.
(async () => {
  const PAGE = 50;
  const LONGEST_DIFF = 500; // words of a text that is compared word by word
  const KINDS = {lost: "l", gained: "g", worse: "w", better: "b", x: "x", r: "r"};
  const SAID = {l: "lost", g: "won", w: "worse", b: "better", x: "wrong", r: "right", "-": "not compared"};
  const FIELDS = ["m", "k", "b", "c", "s", "q"];
  const at = (id) => document.getElementById(id);

  const unpacked = async (id) => {
    const bytes = Uint8Array.from(atob(at(id).textContent), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  };
  const element = (name, ...children) => {
    const made = document.createElement(name);
    made.append(...children.filter((child) => child !== null));
    return made;
  };

  const index = await unpacked("index");
  const place = new Map(index.order.map((item, position) => [item, position]));
  const blocks = new Map();
  const block = (number) => {
    if (!blocks.has(number)) {
      if (blocks.size > 8) blocks.delete(blocks.keys().next().value);
      blocks.set(number, unpacked(`block-${number}`));
    }
    return blocks.get(number);
  };
  const BLOCK = 256;
  const textsOf = async (item) => {
    if (!place.has(item)) return null;
    const position = place.get(item);
    return (await block(Math.floor(position / BLOCK)))[position % BLOCK];
  };

  // State: the fields, the page, and the open item, all of it in the address.
  const state = {p: 0, i: ""};
  const candidates = index.candidates.map(([, candidate]) => index.models[candidate]);
  for (const name of index.categories) {
    const option = element("option", name);
    option.value = name;
    at("c").append(option);
  }
  const chosen = () => {
    const one = candidates.indexOf(at("m").value);
    return one < 0 ? candidates.map((_, number) => number) : [one];
  };
  const readAddress = () => {
    const given = new URLSearchParams(location.hash.slice(1));
    if (!FIELDS.concat("p", "i").some((key) => given.has(key))) return false;
    for (const key of FIELDS) at(key).value = given.get(key) ?? "";
    for (const select of document.querySelectorAll("#filters select")) if (select.selectedIndex < 0) select.selectedIndex = 0;
    state.p = Math.max(0, Math.floor(Number(given.get("p")) || 0));
    state.i = given.get("i") ?? "";
    return true;
  };
  const writeAddress = () => {
    const kept = new URLSearchParams();
    for (const key of FIELDS) if (fieldValue(key)) kept.set(key, fieldValue(key));
    if (state.p) kept.set("p", state.p);
    if (state.i) kept.set("i", state.i);
    history.replaceState(null, "", `#${kept}`);
  };
  const fieldValue = (key) => (at(key).selectedIndex === 0 ? "" : at(key).value);

  // Filters: one pass over the columns.
  let found = [];
  let inTexts = new Set();
  const matches = (item, columns, kind, benchmark, category, query) => {
    if (benchmark >= 0 && index.benchmark[item] !== benchmark) return false;
    if (category >= 0 && index.category[item] !== category) return false;
    if (query && !index.item[item].toLowerCase().includes(query) && !inTexts.has(item)) return false;
    if (kind === "") return true;
    if (kind === "wrong") return index.right.some((bits) => bits[item] === "0");
    return columns.some((changes) => (kind === "c" ? "lgwb".includes(changes[item]) : changes[item] === KINDS[kind]));
  };
  const filter = () => {
    const columns = chosen().map((number) => index.changes[number]);
    const kind = fieldValue("k");
    const benchmark = index.benchmarks.indexOf(fieldValue("b"));
    const category = index.categories.indexOf(fieldValue("c"));
    const query = at("q").value.trim().toLowerCase();
    found = [];
    for (let item = 0; item < index.item.length; item++) {
      if (matches(item, columns, kind, benchmark, category, query)) found.push(item);
    }
    sort();
  };
  const sort = () => {
    const order = fieldValue("s");
    const losses = chosen().map((number) => index.loss[number]);
    const key = new Int32Array(index.item.length); // of each item: the greatest loss of any chosen candidate, or the least
    for (const item of found) {
      key[item] = losses.length ? losses[0][item] : 0;
      for (const loss of losses) if (order === "gain" ? loss[item] < key[item] : loss[item] > key[item]) key[item] = loss[item];
    }
    if (order === "") found.sort((a, b) => key[b] - key[a] || a - b);
    if (order === "gain") found.sort((a, b) => key[a] - key[b] || a - b);
    if (order === "id") found.sort((a, b) => (index.item[a] < index.item[b] ? -1 : index.item[a] > index.item[b] ? 1 : a - b));
  };

  // The list.
  const draw = () => {
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    state.p = Math.min(state.p, pages - 1);
    const shown = found.slice(state.p * PAGE, (state.p + 1) * PAGE);
    at("list").replaceChildren(...shown.map(entry));
    at("count").textContent = `${found.length.toLocaleString("en")} of ${index.item.length.toLocaleString("en")} items; ` +
      `page ${state.p + 1} of ${pages}`;
    at("back").disabled = state.p === 0;
    at("on").disabled = state.p + 1 >= pages;
    writeAddress();
  };
  const entry = (item) => {
    const name = element("strong", index.item[item]);
    const changes = candidates.map((candidate, number) => {
      const change = index.changes[number][item];
      const told = element("span", `${candidate}: ${SAID[change]}`);
      if (change === "l" || change === "w") told.className = "fail";
      if (change === "g" || change === "b") told.className = "pass";
      return told;
    });
    const outcomes = candidates.length ? changes : index.models.map((model, number) =>
      element("span", `${model}: ${{1: "right", 0: "wrong"}[index.right[number][item]] ?? "not asked"}`));
    const where = element("span", index.benchmarks[index.benchmark[item]]);
    where.className = "quiet";
    const folded = element("details", element("summary", name, where, ...outcomes));
    folded.dataset.item = item;
    folded.addEventListener("toggle", () => opened(folded, item));
    if (state.i === key(item)) folded.open = true;
    return element("li", folded);
  };
  const key = (item) => `${index.benchmarks[index.benchmark[item]]}/${index.item[item]}`;
  const opened = async (folded, item) => {
    if (folded.open) state.i = key(item);
    else if (state.i === key(item)) state.i = "";
    writeAddress();
    if (folded.open && !folded.dataset.filled) {
      folded.dataset.filled = "yes";
      folded.append(...content(item, await textsOf(item)));
    }
  };

  // One item.
  const content = (item, texts) => {
    const parts = [];
    if (texts === null) parts.push(element("p", "This page has no room for its texts; --size gives more."));
    const [prompt, gold, answers] = texts ?? [null, null, []];
    if (prompt) parts.push(element("p", "Prompt"), element("pre", prompt));
    if (gold !== null) parts.push(element("p", `Right: ${gold}`));
    if (texts !== null) parts.push(answerTable(answers));
    const again = index.commands[index.benchmark[item]];
    const word = index.keyword[item] ?? index.item[item];
    if (again && word) parts.push(element("p", "Ask it again: ", element("code", `${again} ${word}`)));
    return parts;
  };
  const baseOf = (model) => (index.candidates.find(([, candidate]) => candidate === model) ?? [-1])[0];
  const answerTable = (answers) => {
    const headings = ["model", "answer", "read as", "outcome", "score", "p(correct)"].map((text) => {
      const cell = element("th", text);
      cell.scope = "col";
      return cell;
    });
    const rows = answers.map((answer, model) => (answer === null ? null : answerRow(answers, answer, model)));
    const box = element("div", element("table", element("thead", element("tr", ...headings)), element("tbody", ...rows.filter(Boolean))));
    box.className = "wide";
    box.tabIndex = 0;
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", "answers");
    return box;
  };
  const answerRow = (answers, [text, read, thought, right, score, probability], model) => {
    const name = element("th", index.models[model]);
    name.scope = "row";
    const before = answers[baseOf(model)]?.[0] ?? null;
    const said = element("td", ...(text === null ? ["-"] : before === null ? [text] : difference(before, text)));
    said.className = "text";
    if (thought) said.append(element("details", element("summary", "thought"), element("pre", thought)));
    const share = probability === null ? "-" : `${(100 * probability).toFixed(1)} %`;
    return element("tr", name, said, element("td", read ?? "-"), element("td", right ? "right" : "wrong"),
      element("td", score === null ? "-" : String(score)), element("td", share));
  };

  // Words that the base did not say are underlined, words that it alone said are struck out: longest common subsequence.
  const difference = (before, after) => {
    const [a, b] = [before, after].map((text) => text.split(/(\s+)/).filter((word) => word !== ""));
    if (before === after || Math.max(a.length, b.length) > LONGEST_DIFF) return [after];
    const length = Array.from({length: a.length + 1}, () => new Uint16Array(b.length + 1));
    for (let i = a.length - 1; i >= 0; i--) {
      for (let j = b.length - 1; j >= 0; j--) {
        length[i][j] = a[i] === b[j] ? length[i + 1][j + 1] + 1 : Math.max(length[i + 1][j], length[i][j + 1]);
      }
    }
    const parts = [];
    const put = (kind, word) => {
      if (parts.length && parts.at(-1)[0] === kind) parts.at(-1)[1] += word;
      else parts.push([kind, word]);
    };
    let [i, j] = [0, 0];
    while (i < a.length || j < b.length) {
      if (i < a.length && j < b.length && a[i] === b[j]) { put("same", a[i]); i++; j++; }
      else if (j >= b.length || (i < a.length && length[i + 1][j] >= length[i][j + 1])) put("del", a[i++]);
      else put("ins", b[j++]);
    }
    return parts.map(([kind, words]) => (kind === "same" ? words : element(kind, words)));
  };

  // What the reader does.
  const anew = () => { state.p = 0; state.i = ""; filter(); draw(); };
  let search = 0;
  const searchTexts = async () => {
    const mine = ++search;
    const query = at("q").value.trim().toLowerCase();
    const hits = new Set();
    for (let number = 0; query.length > 2 && number * BLOCK < index.order.length; number++) {
      const rows = await unpacked(`block-${number}`);
      if (mine !== search) return;
      rows.forEach(([prompt, gold, answers], position) => {
        const texts = [prompt, gold, ...answers.flatMap((answer) => (answer ? [answer[0], answer[1]] : []))];
        if (texts.some((text) => text?.toLowerCase().includes(query))) hits.add(index.order[number * BLOCK + position]);
      });
    }
    inTexts = hits;
    if (query.length > 2) anew();
  };
  for (const name of ["m", "k", "b", "c", "s"]) at(name).addEventListener("change", anew);
  at("q").addEventListener("input", () => { inTexts = new Set(); anew(); searchTexts(); });
  at("filters").addEventListener("submit", (event) => event.preventDefault());
  at("clear").addEventListener("click", () => { for (const name of FIELDS) at(name).value = ""; for (const select of document.querySelectorAll("#filters select")) select.selectedIndex = 0; anew(); });
  at("back").addEventListener("click", () => { state.p--; draw(); });
  at("on").addEventListener("click", () => { state.p++; draw(); });
  addEventListener("hashchange", () => {
    if (!readAddress()) return;
    filter();
    draw();
    at("items").scrollIntoView();
  });
  const step = (by) => {
    const all = [...document.querySelectorAll("#list > li > details > summary")];
    const now = all.indexOf(document.activeElement.closest("#list summary, #list details")?.closest("#list > li > details")?.firstChild);
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
  filter();
  draw();
  if (asked) at("items").scrollIntoView();
  document.documentElement.dataset.ready = "yes";
})();
