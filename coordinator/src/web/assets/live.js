"use strict";
// Makes the page of a run live. Everything it shows was made, and made safe, by the coordinator.
(() => {
  const LINES_MAX = 2000;
  const run = document.getElementById("run");
  const log = document.getElementById("log");
  const search = document.getElementById("log-search");
  const node = document.getElementById("log-node");
  const follow = document.getElementById("log-follow");

  const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  for (const time of document.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.getTime())) {
      time.title = time.textContent;
      time.textContent = local.format(at);
    }
  }

  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      const field = search || document.getElementById("search");
      if (field) {
        event.preventDefault();
        field.focus();
        field.select();
      }
    } else if (event.key === "Escape" && typing) {
      event.target.blur();
    }
  });

  if (!run || !log) return;

  const wanted = () => ({ text: search ? search.value.toLowerCase() : "", node: node ? node.value : "" });
  // What the page itself says is of no node, and is always shown.
  const filter = (line, { text, node }) => {
    const from = line.dataset.node;
    line.hidden = (text !== "" && !line.textContent.toLowerCase().includes(text)) || (node !== "" && from !== "" && from !== node);
  };
  const nodes = new Set();
  const know = (name) => {
    if (!node || !name || nodes.has(name)) return;
    nodes.add(name);
    node.add(new Option(name, name));
    node.hidden = nodes.size < 2;
  };
  const toEnd = () => { if (!follow || follow.checked) log.scrollTop = log.scrollHeight; };

  const choose = () => {
    const now = wanted();
    for (const line of log.children) filter(line, now);
    toEnd();
  };
  for (const line of log.children) know(line.dataset.node);
  if (search) search.addEventListener("input", choose);
  if (node) node.addEventListener("change", choose);
  if (follow) {
    follow.addEventListener("change", toEnd);
    // Who scrolls back wants to read; who comes back to the end wants to follow.
    log.addEventListener("scroll", () => {
      follow.checked = log.scrollHeight - log.scrollTop - log.clientHeight < 24;
    }, { passive: true });
  }
  toEnd();

  if (!run.dataset.live) return;

  const dot = document.querySelector(".live-dot");
  const add = (lines) => {
    const now = wanted();
    const some = document.createDocumentFragment();
    for (const [from, line] of lines.slice(-LINES_MAX)) {
      const item = document.createElement("span");
      item.className = from ? "l" : "l told";
      item.dataset.node = from;
      item.textContent = line + "\n";
      know(from);
      filter(item, now);
      some.append(item);
    }
    const keep = !follow || follow.checked;
    log.append(some);
    while (log.childElementCount > LINES_MAX) log.firstElementChild.remove();
    if (keep) log.scrollTop = log.scrollHeight;
  };

  const address = `/runs/${encodeURIComponent(run.dataset.run)}`;
  const events = new EventSource(`${address}/live?from=${run.dataset.next}`);
  events.addEventListener("open", () => { if (dot) { dot.textContent = "live"; dot.classList.remove("lost"); } });
  events.addEventListener("error", () => { if (dot) { dot.textContent = "not connected"; dot.classList.add("lost"); } });
  events.addEventListener("lines", (event) => add(JSON.parse(event.data)));
  events.addEventListener("parts", (event) => {
    const news = JSON.parse(event.data);
    document.title = news.title;
    for (const [name, text] of Object.entries(news.parts)) {
      const place = document.querySelector(`[data-part="${name}"]`);
      if (place) place.innerHTML = text;
    }
    const link = document.getElementById("engine-link");
    if (link) link.hidden = !news.engine;
  });
  events.addEventListener("end", () => {
    events.close();
    // What the store has of it says more now.
    location.reload();
  });
  addEventListener("pagehide", () => events.close());
})();
