/* Draws the page's widgets from the state that lies in it, and joins them to a process of the visitor's own, which
   the server makes at the first gesture. Plain JavaScript: html-manager does the drawing. */
(function () {
  "use strict";
  const told = JSON.parse(document.getElementById("bdap-stage").textContent);
  const snapshot = JSON.parse(document.getElementById("bdap-widgets").textContent);
  const GESTURES = ["pointerdown", "keydown", "wheel", "touchstart", "input", "change"];
  // Somebody is there: the connection is made, which starts a dashboard that sleeps, before they do anything.
  const SIGNS = [...GESTURES, "pointermove", "focusin", "scroll"];
  const KEPT = "bdap-kernel";
  const TRIES = 4; // of sending a message
  const CONTROL = "jupyter.widget.control";
  let frames = null; // frames.js
  const first = window.bdapFirst, gestures = window.bdapGestures, states = window.bdapStates;
  const typeset = (element) => window.bdapTypeset(element, script);
  const DIST = "npm/@jupyter-widgets/html-manager/dist/";

  // --- small helpers ----------------------------------------------------------------------------------------------

  function identifier() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    const hex = Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  }

  function script(path) {
    return new Promise((resolve, reject) => {
      const tag = document.createElement("script");
      tag.src = told.static + path;
      tag.onload = resolve;
      tag.onerror = () => reject(new Error(`${path} cannot be loaded`));
      document.head.appendChild(tag);
    });
  }

  function notice(text, action) {
    const place = document.getElementById("bdap-notice");
    place.hidden = !text;
    place.textContent = text || "";
    if (action) {
      const button = document.createElement("button");
      button.textContent = action;
      button.addEventListener("click", () => location.reload());
      place.appendChild(button);
    }
  }

  // --- the connection ---------------------------------------------------------------------------------------------

  class Connection {
    constructor(kernel, resumed) {
      this.kernel = kernel;
      this.resumed = resumed;
      this.comms = new Map();
      this.callbacks = new Map();
      this.queue = []; // what is to be sent
      this.sent = new Map(); // what was sent and is not answered yet: sent again where the connection broke
      this.awake = resumed || Boolean(told.kernel); // before the first gesture, nothing needs a process
      this.touched = false; // the visitor has done something on this page
      this.last = 0;
      this.pause = 500;
      this.session = identifier();
      this.began = false;
      this.opened = new Promise((resolve) => (this.onHello = resolve));
      const wake = () => this.wake();
      GESTURES.forEach((name) => addEventListener(name, wake, { capture: true, once: true, passive: true }));
      const open = () => this.open();
      SIGNS.forEach((name) => addEventListener(name, open, { capture: true, once: true, passive: true }));
    }

    open() {
      if (this.opening || !this.wanted || this.ended) return;
      this.opening = true;
      const scheme = location.protocol === "https:" ? "wss" : "ws";
      const after = this.resumed && !this.began ? "fresh=1" : `after=${this.last}`;
      const query = told.kernel ? `${after}&own=1` : after; // its page was made by that process: no other will do
      const url = `${scheme}://${location.host}/api/kernels/${this.kernel}/channels?${query}`;
      this.socket = new WebSocket(url);
      this.socket.binaryType = "arraybuffer";
      this.socket.onmessage = (event) => this.receive(frames.from(event.data));
      this.socket.onclose = (event) => this.closed(event);
    }

    closed(event) {
      this.ready = this.opening = false;
      if (this.ended) return;
      this.queue = [...this.unanswered(), ...this.queue];
      if (this.full || (event.code === 1013 && this.awake)) {
        notice("Many people look at this dashboard just now. Its controls answer as soon as there is room.");
      } else if (this.began) {
        notice("The connection is lost. It is being made again …");
      }
      setTimeout(() => this.open(), this.pause);
      this.pause = Math.min(this.pause * 1.7, 15000);
    }

    /* In the order they were sent. What nobody answers, however often, is let go: its control must not wait for ever. */
    unanswered() {
      const waiting = [...this.sent.values()];
      this.sent.clear();
      waiting.filter((one) => one.tries >= TRIES).forEach((one) => this.forget(one.id));
      return waiting.filter((one) => one.tries < TRIES);
    }

    hello(content) {
      this.ready = true;
      if (!this.full) this.pause = 500;
      if (!this.full) notice(this.word);
      if (content.alive === false && (this.live || told.kernel)) return this.end();
      const other = content.page && told.page && content.page !== told.page && !this.live;
      if (other && content.names !== told.names) return renewPage();
      this.live = content.alive;
      if (this.resumed && !this.began && !content.alive) this.awake = this.touched;
      const missed = content.alive && (content.complete === false || (this.resumed && !this.began));
      this.stale = this.stale || other || missed; // until the states are here, however often it is asked
      this.began = true;
      this.onHello();
      this.flush(); // first what the visitor did: the state then has it
      if (this.stale) manager.then((m) => m.refresh());
      return undefined;
    }

    /* There is no room for a process of this visitor's: the server closes, and it is tried again. */
    crowded() {
      this.full = true;
      this.sent.forEach((one) => (one.tries -= 1));
    }

    roomy() {
      this.live = true;
      if (this.full) notice("");
      this.full = false;
    }

    /* This page goes: nothing of it may speak any more. */
    retire() { this.ended = true; this.socket.close(); }
    /* What the visitor said that had no effect yet. */
    unheard() {
      return [...this.unanswered(), ...this.queue].map((one) => one.said).filter(Boolean);
    }

    /* What was set in that widget and is not answered yet. */
    pending(id) {
      const said = [...this.sent.values(), ...this.queue].map((one) => one.said && one.said.content);
      return Object.assign({}, ...said.filter((c) => c && c.comm_id === id && c.data).map((c) => c.data.state));
    }

    /* The visitor reads it, whatever the connection does meanwhile. */
    tell(text) {
      this.word = text;
      notice(text);
      setTimeout(() => {
        if (this.word === text) this.word = "";
        if (document.getElementById("bdap-notice").textContent === text) notice("");
      }, 20000);
    }

    end() {
      this.ended = true;
      notice("This dashboard has ended. Open it again to go on.", "Load again");
      try { sessionStorage.removeItem(KEPT); } catch (_) { /* storage may be forbidden */ }
    }

    wake() {
      this.awake = this.touched = true;
      this.open();
      this.flush();
    }

    send(kind, content, callbacks, metadata, buffers) {
      const header = {
        msg_id: identifier(), msg_type: kind, session: this.session, username: "", version: "5.3",
        date: new Date().toISOString(),
      };
      const message = { channel: "shell", header, parent_header: {}, metadata: metadata || {}, content, buffers: buffers || [] };
      if (callbacks) this.callbacks.set(header.msg_id, callbacks);
      const data = content.data || {};
      const pointer = data.method === "custom" && data.content && data.content.event === "interaction";
      if (!this.awake && pointer) return this.forget(header.msg_id); // where the pointer is: too old by then
      const comm = this.comms.get(content.comm_id);
      if (this.ready && comm && comm.target_name === CONTROL) { // the snapshot answers who has no process
        this.socket.send(frames.to(message));
        return header.msg_id;
      }
      if (!this.awake && (kind === "comm_open" || data.method === "custom")) this.awake = this.touched = true;
      const said = this.touched ? { kind, content, metadata, buffers } : null; // else it is of the drawing
      this.queue.push({ id: header.msg_id, frame: frames.to(message), tries: 0, said });
      if (this.awake) this.open();
      this.flush();
      return header.msg_id;
    }

    forget(id) {
      const callbacks = this.callbacks.get(id);
      setTimeout(() => this.idle(id, callbacks), 0);
      return id;
    }

    idle(id, callbacks) {
      this.callbacks.delete(id);
      this.sent.delete(id);
      if (callbacks && callbacks.iopub && callbacks.iopub.status) {
        callbacks.iopub.status({ content: { execution_state: "idle" }, parent_header: { msg_id: id }, header: { msg_type: "status" } });
      }
    }

    flush() {
      if (!this.ready || !this.awake || this.ended) return;
      const waiting = this.queue.splice(0);
      if (waiting.length) keep(this.kernel);
      waiting.forEach((one) => {
        this.sent.set(one.id, { ...one, tries: one.tries + 1 });
        this.socket.send(one.frame);
      });
    }

    receive(message) {
      const stage = message.content && message.content.stage;
      if (stage && stage.full) return this.crowded();
      if (stage) return stage.ended ? this.end() : this.hello(stage);
      if (message.metadata && message.metadata.number) {
        this.last = message.metadata.number;
        this.roomy();
      }
      // In the order they came, whatever each takes: a comm's messages may need its model first.
      this.chain = (this.chain || Promise.resolve()).then(() => this.dispatch(message)).catch((e) => console.error(e));
      return undefined;
    }

    async dispatch(message) {
      const parent = (message.parent_header || {}).msg_id;
      const content = message.content;
      switch (message.header.msg_type) {
        case "status":
          if (content.execution_state === "idle") this.idle(parent, this.callbacks.get(parent));
          return;
        case "comm_open": {
          const comm = new Comm(this, content.target_name, content.comm_id);
          if (content.target_name === "jupyter.widget") await (await manager).handle_comm_open(comm, message);
          return;
        }
        case "comm_msg": {
          const comm = this.comms.get(content.comm_id);
          if (comm && comm.heard) await comm.heard(message);
          return;
        }
        case "comm_close": {
          const comm = this.comms.get(content.comm_id);
          this.comms.delete(content.comm_id);
          if (comm && comm.ended) comm.ended(message);
          return;
        }
        default:
      }
    }
  }

  class Comm {
    constructor(connection, target, id) {
      this.connection = connection;
      this.target_name = target;
      this.comm_id = id;
      connection.comms.set(id, this);
    }
    get jsServicesComm() { return this; }
    open(data, callbacks, metadata, buffers) {
      const content = { comm_id: this.comm_id, target_name: this.target_name, data: data || {} };
      return this.connection.send("comm_open", content, callbacks, metadata, buffers);
    }
    send(data, callbacks, metadata, buffers) {
      return this.connection.send("comm_msg", { comm_id: this.comm_id, data }, callbacks, metadata, buffers);
    }
    close(data, callbacks, metadata, buffers) {
      const content = { comm_id: this.comm_id, data: data || {} };
      const id = this.connection.send("comm_close", content, callbacks, metadata, buffers);
      this.connection.comms.delete(this.comm_id);
      return id;
    }
    on_msg(callback) { this.heard = callback; }
    on_close(callback) { this.ended = callback; }
  }

  // --- the manager ------------------------------------------------------------------------------------------------

  function makeManager(HTMLManager, connection) {
    class LiveManager extends HTMLManager {
      constructor() {
        super({ loader: (name) => new Promise((resolve, reject) => window.requirejs([name], resolve, reject)) });
        this._rendermime = { latexTypesetter: { typeset } };
        this.renderMime.latexTypesetter = { typeset };
      }
      async _create_comm(target, id, data, metadata, buffers) {
        const known = connection.comms.get(id);
        if (known && data === undefined) return known;
        const comm = new Comm(connection, target, id || identifier().replace(/-/g, ""));
        if (data !== undefined || metadata !== undefined) comm.open(data, undefined, metadata, buffers);
        return comm;
      }
      async _get_comm_info() { return {}; }
      /* The models of the page, with comms but without a word to anybody. */
      async draw(embedded) {
        await Promise.all(Object.entries(embedded.state).map(([id, model]) => {
          const names = { model_name: model.model_name, model_module: model.model_module };
          const options = { ...names, model_module_version: model.model_module_version, model_id: id };
          if (told.mode !== "static") options.comm = new Comm(connection, "jupyter.widget", id);
          return this.new_model(options, states.whole(model));
        }));
        await Promise.all(Array.from(document.querySelectorAll(".bdap-widget"), (place) => this.show(place)));
      }
      async show(place) {
        const id = place.dataset.model;
        if (!this.has_model(id)) return;
        const model = await this.get_model(id);
        const view = await this.create_view(model);
        const node = document.createElement("div");
        node.className = "widget-subarea";
        place.replaceChildren(node); // what was painted there for the time until now goes
        await this.display_view(view, node);
      }
      /* After a break: the state as the visitor's process has it. */
      async refresh() {
        if (!connection.ready) return; // the next connection asks
        await states.refresh(this, new Comm(connection, CONTROL, identifier()), (id) => connection.pending(id));
        connection.stale = false;
      }
    }
    return new LiveManager();
  }

  // --- the beginning ----------------------------------------------------------------------------------------------

  function keep(kernel) {
    try { sessionStorage.setItem(KEPT, JSON.stringify({ kernel, page: told.page })); } catch (_) { /* forbidden */ }
  }

  function kept() {
    const [navigation] = performance.getEntriesByType("navigation");
    if (!navigation || navigation.type !== "reload") return null;
    try {
      const found = JSON.parse(sessionStorage.getItem(KEPT) || "null");
      return found && found.page === told.page ? found.kernel : null;
    } catch (_) { return null; }
  }

  /* The dashboard was started again and made its widgets differently: this page's names are unknown there. */
  async function renewPage() {
    connection.retire();
    const answer = await fetch("/_stage/page", { cache: "no-store" }).catch(() => null);
    if (!answer || !answer.ok) return connection.end();
    const text = await answer.text();
    gestures.carry(snapshot.state, connection.unheard()); // also what was done meanwhile
    document.open();
    document.write(text);
    document.close();
    return undefined;
  }

  const before = told.kernel ? null : kept();
  const connection = new Connection(told.kernel || before || identifier(), Boolean(before));
  let fill;
  const manager = new Promise((resolve) => (fill = resolve));

  /* html-manager; once it is fetched, and while it begins, the scripts of these widgets are, not each when it is met. */
  function drawer(models) {
    const fetched = (path) => first.fetched(`${told.static}${path}.js`);
    const named = models.flatMap((model) => [model.model_module, (model.state || {})._view_module]);
    const more = [...new Set(named)].map((name) => told.modules[name]).filter(Boolean);
    fetched(`${DIST}manager`).then(() => more.forEach(fetched));
    return script(`${DIST}manager.js`);
  }

  async function begin() {
    window.__jupyter_widgets_assets_path__ = told.static + DIST;
    // The bundle looks for its fonts beside where its modules would lie.
    const parts = ["base", "controls", "html-manager"];
    const bundled = Object.fromEntries(parts.map((name) => [`@jupyter-widgets/${name}`, DIST + name]));
    window.requirejs.config({ baseUrl: told.static, paths: { ...told.modules, ...bundled }, waitSeconds: 120 });
    if (told.math) typeset(document.getElementById("rendered_cells"));
    await first.painted();
    if (!Object.keys(snapshot.state).length) {
      await first.dressed();
      document.documentElement.dataset.stage = "ready";
      await gestures.deliver({}, null, connection); // nothing here takes it, which the visitor is told
      return;
    }
    const drawing = drawer(Object.values(snapshot.state));
    await script("stage/frames.js");
    frames = window.bdapFrames;
    connection.wanted = told.mode !== "static";
    if (connection.awake) connection.open();
    await drawing;
    const { HTMLManager } = await new Promise((resolve, reject) =>
      window.requirejs(["@jupyter-widgets/html-manager"], resolve, reject));
    await first.dressed(); // not before: the whole page is laid out anew
    const made = makeManager(HTMLManager, connection);
    await made.draw(snapshot);
    fill(made);
    document.documentElement.dataset.stage = "ready";
    await gestures.deliver(snapshot.state, made, connection);
    await gestures.press(connection);
  }

  window.bdapStage = { connection, manager };
  begin().catch((error) => {
    console.error(error);
    if (first) first.dressed();
    document.documentElement.dataset.stage = "failed";
    notice("A part of this dashboard could not be loaded.", "Load again");
  });
})();
