/* A visitor's gesture outlives what the page goes through meanwhile: that it is only painted yet, and that the
   dashboard was started anew and made other widgets. Loaded before live.js. */
(function () {
  "use strict";
  const CONTROLS = "button, a, label, input, textarea, select, summary, [role=button], [role=tab], [role=option]";
  const LABELS = ["description", "tooltip", "label", "title", "icon", "name"];
  const AGAIN = "This dashboard was started anew and looks different now. Please do your last step once more.";
  const EARLY = "The dashboard was not ready yet. Please do your last step once more.";
  const PATIENCE = 10000; // ms in which what was pressed must be drawn

  // --- on what is painted ------------------------------------------------------------------------------------------

  let pressed = null;
  addEventListener("click", note, true);

  function note(event) {
    if (document.documentElement.dataset.stage || !event.target.closest) return;
    const place = event.target.closest(".bdap-widget");
    const painted = place && place.querySelector(":scope > [inert]");
    if (!painted) return;
    painted.inert = false; // only then it is found
    const found = document.elementFromPoint(event.clientX, event.clientY);
    painted.inert = true;
    if (!found || found === painted || !painted.contains(found)) return;
    const control = found.closest(CONTROLS) || found;
    const box = control.getBoundingClientRect();
    const alike = like(painted, control.tagName, words(control)), number = alike.indexOf(control);
    if (number < 0) return; // around what is painted, or without a place of its own
    pressed = {
      place, tag: control.tagName, words: words(control), number, of: alike.length,
      across: (event.clientX - box.left) / box.width, down: (event.clientY - box.top) / box.height,
    };
  }

  function words(element) {
    return element.textContent.trim();
  }

  function like(place, tag, text) {
    const all = [...place.querySelectorAll(tag.toLowerCase())];
    return all.filter((one) => words(one) === text && one.getClientRects().length);
  }

  /* Once the widgets are drawn: what was pressed is pressed again. Whatever comes of it, the page itself works. */
  async function press(connection) {
    const wanted = pressed;
    pressed = null;
    if (wanted && !(await pressedAgain(wanted).catch((error) => console.error(error)))) connection.tell(EARLY);
  }

  async function pressedAgain(wanted) {
    for (const end = Date.now() + PATIENCE; Date.now() < end; ) {
      const found = like(wanted.place, wanted.tag, wanted.words);
      if (found.length === wanted.of) {
        clicked(found[wanted.number], wanted);
        return true;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return false;
  }

  function clicked(element, wanted) {
    const box = element.getBoundingClientRect();
    const at = { clientX: box.left + wanted.across * box.width, clientY: box.top + wanted.down * box.height };
    const how = { ...at, bubbles: true, cancelable: true, composed: true, view: window, button: 0, detail: 1 };
    const pointer = { ...how, pointerId: 1, pointerType: "mouse", isPrimary: true };
    element.dispatchEvent(new PointerEvent("pointerdown", { ...pointer, buttons: 1 }));
    element.dispatchEvent(new MouseEvent("mousedown", { ...how, buttons: 1 }));
    if (element.focus) element.focus();
    element.dispatchEvent(new PointerEvent("pointerup", pointer));
    element.dispatchEvent(new MouseEvent("mouseup", how));
    element.dispatchEvent(new MouseEvent("click", how));
  }

  // --- on a page that is made anew -----------------------------------------------------------------------------------

  function labels(model) {
    const state = model.state || {};
    const said = [...LABELS.map((name) => state[name]), ...(Array.isArray(state.children) ? state.children : [])];
    return said.filter((one) => typeof one === "string" && !one.startsWith("IPY_MODEL_"));
  }

  /* Choices belong to it: a gesture says the number of the chosen one. */
  function signature(model) {
    const choices = (model.state || {})._options_labels || [];
    return JSON.stringify([model.model_module, model.model_name, choices, ...labels(model)]);
  }

  function grouped(models) {
    const groups = new Map();
    Object.entries(models).forEach(([id, model]) => {
      const key = signature(model);
      groups.set(key, [...(groups.get(key) || []), id]);
    });
    return groups;
  }

  /* What the widgets of one run are called in another: those of one kind and label, where there are as many of them.
     Of several without a label nobody knows which is which. */
  function renamed(before, after) {
    const names = new Map(), there = grouped(after);
    grouped(before).forEach((ids, key) => {
      const others = there.get(key) || [];
      const sure = ids.length === 1 || labels(before[ids[0]]).some((label) => label.trim());
      if (sure && others.length === ids.length) ids.forEach((id, i) => names.set(id, others[i]));
    });
    return names;
  }

  /* The next script of this window finds it. */
  function carry(before, gestures) {
    window.bdapCarried = { before, gestures };
  }

  /* What was carried here, said by this page's widgets; the visitor is told where one of them has no successor. */
  async function deliver(models, manager, connection) {
    const carried = window.bdapCarried;
    delete window.bdapCarried;
    if (!carried || !carried.gestures.length) return;
    const names = renamed(carried.before, models);
    let all = true;
    for (const { kind, content, metadata, buffers } of carried.gestures) {
      const id = names.get(content.comm_id), data = content.data || {};
      if (kind !== "comm_msg" || !id || JSON.stringify(data).includes("IPY_MODEL_")) {
        all = false;
        continue;
      }
      if (data.method === "update") {
        const model = await manager.get_model(id);
        model.set_state(await model.constructor._deserialize_state({ ...data.state }, manager));
      }
      connection.wake();
      connection.comms.get(id).send(data, undefined, metadata, buffers);
    }
    if (!all) connection.tell(AGAIN);
  }

  window.bdapGestures = { press, carry, deliver };
})();
