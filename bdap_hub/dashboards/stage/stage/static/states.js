/* The states of widgets, with their buffers put into place: as the page has them, and as a process tells them later.
   Loaded before live.js. */
(function () {
  "use strict";

  function put(state, paths, buffers) {
    paths.forEach((path, i) => {
      let place = state;
      path.slice(0, -1).forEach((key) => (place = place[key]));
      place[path[path.length - 1]] = buffers[i];
    });
  }

  function decoded(text) {
    const raw = atob(text);
    const bytes = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    return new DataView(bytes.buffer);
  }

  /* Of a model of the page. */
  function whole(model) {
    const kept = model.buffers || [];
    put(model.state, kept.map((b) => b.path), kept.map((b) => decoded(b.data)));
    return model.state;
  }

  /* All states, asked for over `control`. Both words go at once, so that they come to the same process, which may be
     busy for as long as it likes: html-manager's own way gives up after four seconds. */
  function refresh(manager, control, pending) {
    return new Promise((resolve) => {
      control.on_msg(async (message) => {
        if (message.content.data.method !== "update_states") return;
        await take(manager, message, pending);
        control.close();
        resolve();
      });
      control.open({}, undefined, { version: "1.0.0" });
      control.send({ method: "request_states" }, {});
    });
  }

  async function take(manager, message, pending) {
    const { states, buffer_paths: paths } = message.content.data;
    put(states, paths || [], message.buffers || []);
    await Promise.all(Object.entries(states).map(async ([id, told]) => {
      try {
        await (manager.has_model(id) ? update(manager, id, told.state, pending) : make(manager, id, told));
      } catch (error) {
        console.error(error);
      }
    }));
  }

  /* What the visitor set meanwhile is newer than the answer. */
  async function update(manager, id, state, pending) {
    const model = await manager.get_model(id);
    const newer = { ...pending(id), ...model._msg_buffer };
    const older = Object.fromEntries(Object.entries(state).filter(([name]) => !(name in newer)));
    model.set_state(await model.constructor._deserialize_state(older, manager));
  }

  async function make(manager, id, told) {
    const names = { model_name: told.model_name, model_module: told.model_module };
    const comm = await manager._create_comm("jupyter.widget", id);
    const options = { ...names, model_module_version: told.model_module_version, model_id: id, comm };
    await manager.new_model(options, told.state);
  }

  window.bdapStates = { whole, refresh };
})();
