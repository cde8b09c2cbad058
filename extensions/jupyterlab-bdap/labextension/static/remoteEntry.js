/*
 * The browser part: a "Publish" button on notebooks, notices about the data store (store.js), names of sliders
 * (sliders.js), and tiles of maps that did not come (tiles.js). A federated JupyterLab extension written by hand:
 * JupyterLab loads this file, calls init() with the modules it shares and then get("./extension").
 * Nothing is built, nothing is bundled.
 */
(() => {
  "use strict";

  const NAME = "jupyterlab-bdap";
  const COMMAND = "bdap:publish";
  const VISIBILITIES = [
    ["project", "Members of the project", "Only colleagues of this project, after logging in."],
    ["people", "Everyone who is logged in", "All people with an account of the platform."],
    ["public", "Everyone", "The whole internet, without logging in."],
  ];
  const MISSING = /ModuleNotFoundError|ImportError|FileNotFoundError/;
  const HERE = document.currentScript.src;
  let scope;

  /** A module that JupyterLab shares; the version already loaded, else the newest. */
  async function shared(name) {
    const versions = scope[name];
    if (!versions) throw new Error(`${NAME}: this application does not share ${name}`);
    const newest = Object.keys(versions).sort((a, b) => a.localeCompare(b, "en", { numeric: true })).pop();
    const key = Object.keys(versions).find((version) => versions[version].loaded) || newest;
    return (await versions[key].get())();
  }

  /** An address that works as part of a host name. */
  function slugOf(text, length) {
    const plain = text.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").toLowerCase();
    const slug = plain.replace(/[^a-z0-9]+/g, "-").replace(/^[^a-z]+/, "");
    return slug.slice(0, length).replace(/-+$/, "");
  }

  /** "ndvi-map_2.ipynb" -> "Ndvi map 2" */
  function titleOf(path) {
    const words = path.split("/").pop().replace(/\.ipynb$/, "").replace(/[-_]+/g, " ").trim();
    return words.charAt(0).toUpperCase() + words.slice(1);
  }

  function element(tag, properties = {}, ...children) {
    const { data, ...rest } = properties;
    const made = Object.assign(document.createElement(tag), rest);
    for (const [key, value] of Object.entries(data || {})) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  function field(id, label, input, hint) {
    input.id = id;
    if (hint) input.setAttribute("aria-describedby", `${id}-hint`);
    const small = hint ? [typeof hint === "string" ? element("small", { textContent: hint }) : hint] : [];
    if (small[0]) small[0].id = `${id}-hint`;
    return element("div", { className: "bdap-field" }, element("label", { htmlFor: id, textContent: label }), input, ...small);
  }

  /** A service's words as a sentence. */
  function sentence(text) {
    return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
  }

  function notice(error) {
    const lines = [element("strong", { textContent: sentence(error.message) })];
    if (error.remedy) lines.push(element("span", { textContent: sentence(`What to do: ${error.remedy}`) }));
    if (/^https?:\/\//.test(error.link || "")) {
      lines.push(element("a", { href: error.link, target: "_blank", rel: "noopener", textContent: "Log in again, and go there" }));
    }
    if (error.cell) lines.push(failing(error.cell));
    return element("div", { className: "bdap-error", data: { role: "alert" } }, ...lines);
  }

  /** The cell that failed: its first lines, and its traceback. */
  function failing(cell) {
    const lines = element("pre", { className: "bdap-source", textContent: cell.source });
    const trace = element("pre", { className: "bdap-trace", textContent: cell.traceback, tabIndex: 0 });
    trace.setAttribute("aria-label", "Traceback");
    const caption = element("small", { textContent: `Code cell ${cell.number}; it is selected in the notebook.` });
    return element("div", { className: "bdap-cell" }, caption, lines, trace);
  }

  const words = (text) => text.split(/[,\n]/).map((word) => word.trim()).filter(Boolean);

  /** What bdap-dashboard.yaml would say beside the rest; closed unless something stands in it. */
  function furtherFields(more) {
    const text = (value) => element("input", { type: "text", className: "jp-mod-styled", value, spellcheck: false });
    const tags = text((more.tags || []).join(", "));
    const data = element("textarea", { className: "jp-mod-styled", rows: 2, value: (more.data || []).join("\n"), spellcheck: false });
    const secrets = text((more.secrets || []).join(", "));
    const memory = text(more.memory || "");
    const node = element(
      "details",
      { open: Object.keys(more).length > 0 },
      element("summary", { textContent: "Tags, data, secrets, memory" }),
      field("bdap-tags", "Tags", tags, "Words that the gallery is searched by, with commas between them."),
      field("bdap-data", "Data", data, "Folders of the store that it reads, such as /eos/data/fields; one on a line."),
      field("bdap-secrets", "Secrets", secrets, "Names of the project's secrets, which are files in /run/secrets."),
      field("bdap-memory", "Memory", memory, "Such as 2G; empty: as the platform gives it."),
    );
    const read = () => {
      const found = { tags: words(tags.value), data: words(data.value), secrets: words(secrets.value), memory: memory.value.trim() };
      return Object.fromEntries(Object.entries(found).filter(([, value]) => value.length));
    };
    return { node, read };
  }

  /** 3456789 -> "3.5 MB" */
  function megabytes(bytes) {
    return bytes < 1e5 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
  }

  /** One of several: a radio button with what it means below its label. */
  function choice(name, value, checked, label, hint, disabled = false) {
    const radio = element("input", { type: "radio", name, value, checked, disabled });
    return element("label", { className: "bdap-choice" }, radio, element("span", {}, label, element("small", { id: `${name}-${value}-hint`, textContent: hint })));
  }

  /** The notebook alone, or with what lies beside it. */
  function extentOf(values, folder) {
    const cannot = folder.problem && sentence(`${folder.problem.message}; ${folder.problem.remedy}`);
    const label = cannot ? "Its folder" : `Its folder “${folder.name}”`;
    const hint = cannot || `With modules, pictures and data beside it: ${folder.files} ${folder.files === 1 ? "file" : "files"}, ${megabytes(folder.bytes)}.`;
    const whole = Boolean(values.folder) && !cannot;
    return element(
      "fieldset",
      { data: cannot ? { "aria-describedby": "bdap-extent-folder-hint" } : {} },
      element("legend", { textContent: "What is published" }),
      choice("bdap-extent", "notebook", !whole, "This notebook alone", "It needs no module or file of its own."),
      choice("bdap-extent", "folder", whole, label, hint, Boolean(cannot)),
    );
  }

  /** The form of the dialog; `read()` gives what stands in it. */
  function form(values, info, folder, error) {
    const title = element("input", { type: "text", className: "jp-mod-styled", value: values.title, required: true, maxLength: 120 });
    const slug = element("input", { type: "text", className: "jp-mod-styled", value: values.slug, required: true, spellcheck: false });
    slug.maxLength = info.slug_length;
    const about = element("textarea", { className: "jp-mod-styled", value: values.description, rows: 2, maxLength: 500 });
    const address = element("small");
    const show = () => (address.textContent = `Its address begins with ${info.project}--${slug.value || "…"}`);
    let own = slug.value !== slugOf(title.value, info.slug_length);
    title.addEventListener("input", () => {
      if (!own) slug.value = slugOf(title.value, info.slug_length);
      show();
    });
    slug.addEventListener("input", () => {
      own = slug.value !== "";
      show();
    });
    show();
    const further = furtherFields(values.more || {});
    const choices = VISIBILITIES.map(([value, label, hint]) => choice("bdap-visibility", value, value === values.visibility, label, hint));
    const extent = extentOf(values, folder);
    const node = element(
      "div",
      { className: "bdap-publish" },
      element("p", { textContent: `The notebook becomes a web page of the project “${info.project}”. Publishing again under the same address replaces it.` }),
      ...(error ? [notice(error)] : []),
      field("bdap-title", "Title", title),
      field("bdap-slug", "Address", slug, address),
      element("fieldset", {}, element("legend", { textContent: "Who can see it" }), ...choices),
      extent,
      field("bdap-description", "Description (optional)", about),
      further.node,
    );
    const read = () => ({
      title: title.value.trim(),
      slug: slug.value.trim(),
      description: about.value.trim(),
      more: further.read(),
      folder: extent.querySelector("input[value=folder]").checked,
      visibility: (node.querySelector("input[name=bdap-visibility]:checked") || {}).value || "project",
    });
    return { node, read };
  }

  /** What is wrong with the form, or nothing. */
  function check(values) {
    if (!values.title) return { message: "The title is empty.", remedy: "give the dashboard a title people will recognise" };
    if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(values.slug)) {
      return {
        message: `“${values.slug}” cannot be an address.`,
        remedy: "use small letters, digits and single hyphens, beginning with a letter",
      };
    }
  }

  const STYLE = `
    .jp-Dialog-content:has(.bdap-publish) { max-height: 92vh; max-width: 92vw; }
    .bdap-publish { display: flex; flex-direction: column; gap: 14px; width: min(460px, 80vw); padding: 2px; }
    .bdap-publish p { margin: 0; line-height: 1.4; }
    .bdap-field { display: flex; flex-direction: column; gap: 4px; }
    .bdap-field > label, .bdap-publish legend { font-weight: 600; padding: 0; }
    .bdap-publish input[type=text], .bdap-publish textarea { width: 100%; box-sizing: border-box; font: inherit; }
    .bdap-publish textarea { min-height: 3.6em; padding: 6px 7px; resize: vertical; }
    .bdap-publish small { color: var(--jp-ui-font-color2); line-height: 1.35; overflow-wrap: anywhere; }
    .bdap-publish fieldset { border: 0; margin: 0; padding: 0; display: flex; flex-direction: column; gap: 6px; }
    .bdap-publish legend { margin-bottom: 6px; }
    .bdap-choice { display: flex; gap: 8px; align-items: baseline; }
    .bdap-choice input.jp-mod-styled { appearance: auto; width: auto; height: auto; min-height: 0; margin: 0; padding: 0; flex: none; }
    .bdap-choice:has(:disabled) { color: var(--jp-ui-font-color2); }
    .bdap-choice span { display: flex; flex-direction: column; }
    .bdap-publish details { display: flex; flex-direction: column; }
    .bdap-publish summary { cursor: pointer; font-weight: 600; }
    .bdap-publish details > .bdap-field { margin-top: 10px; }
    .bdap-cell pre { margin: 4px 0 0; padding: 6px 8px; background: var(--jp-layout-color1); color: var(--jp-ui-font-color1);
      font-family: var(--jp-code-font-family); font-size: var(--jp-code-font-size); overflow: auto; max-height: 30vh; white-space: pre; }
    .bdap-cell small { display: block; }
    .bdap-error { display: flex; flex-direction: column; gap: 4px; padding: 8px 10px; line-height: 1.4;
      border-left: 4px solid var(--jp-error-color1); background: var(--jp-layout-color2); overflow-wrap: anywhere; }
    .bdap-button .jp-ToolbarButtonComponent-label { padding-left: 4px; }
    .bdap-publish a { color: var(--jp-content-link-color); overflow-wrap: anywhere; text-decoration: underline; }`;

  async function extension() {
    const modules = ["@jupyterlab/apputils", "@jupyterlab/coreutils", "@jupyterlab/notebook", "@jupyterlab/mainmenu",
      "@jupyterlab/services", "@jupyterlab/ui-components", "@lumino/widgets"];
    const [apputils, coreutils, notebook, mainmenu, services, ui, lumino] = await Promise.all(modules.map(shared));
    const { Dialog, showDialog, Notification, ICommandPalette } = apputils;
    const icon = new ui.LabIcon({
      name: "bdap:publish",
      svgstr: '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24"><path class="jp-icon3" fill="#616161" d="M5 4v2h14V4H5zm0 10h4v6h6v-6h4l-7-7-7 7z"/></svg>',
    });

    /** A request to our server part; throws {message, remedy, link, status}. */
    async function ask(path, body) {
      const settings = services.ServerConnection.makeSettings();
      const init = body ? { method: "POST", body: JSON.stringify(body) } : {};
      let answer;
      try {
        answer = await services.ServerConnection.makeRequest(coreutils.URLExt.join(settings.baseUrl, path), init, settings);
      } catch {
        throw { message: "Your server does not answer.", remedy: "look whether it is still running", status: 0 };
      }
      const found = await answer.json().catch(() => ({}));
      if (answer.ok) return found;
      const message = found.message || `Your server answered with status ${answer.status}.`;
      throw { message, remedy: found.remedy || "", link: found.link || "", cell: found.cell, status: answer.status };
    }

    const widget = (node) => new lumino.Widget({ node });

    async function explain(error) {
      const body = widget(element("div", { className: "bdap-publish" }, notice(error)));
      await showDialog({ title: "The notebook was not published", body, buttons: [Dialog.okButton({ label: "Close" })] });
    }

    async function celebrate(done, title) {
      const address = done.status && done.status !== "live" && done.preview ? done.preview : done.url;
      const link = element("a", { href: address, target: "_blank", rel: "noopener", textContent: address });
      const waits = done.status === "submitted" ? "It waits for an approval." : `Its state is “${done.status}”.`;
      const note = done.status && done.status !== "live" ? waits : "It starts when somebody opens it.";
      const text = element("p", {}, element("strong", { textContent: title }), ` is published${done.version > 1 ? ` (version ${done.version})` : ""}. ${note}`);
      const body = widget(element("div", { className: "bdap-publish" }, text, element("p", {}, link)));
      const buttons = [
        Dialog.cancelButton({ label: "Close" }),
        Dialog.createButton({ label: "Copy address", actions: ["copy"], displayType: "default" }),
        Dialog.okButton({ label: "Open", actions: ["open"] }),
      ];
      const { button } = await showDialog({ title: "Published", body, buttons, defaultButton: 2 });
      if (button.actions.includes("open")) window.open(address, "_blank", "noopener");
      if (button.actions.includes("copy")) {
        apputils.Clipboard.copyToSystem(address);
        Notification.success("The address is in the clipboard.", { autoClose: 3000 });
      }
    }

    /** Save what is kept for the next time, send, and say what is going on. */
    async function send(panel, values, kept) {
      const progress = Notification.emit(`Publishing “${values.title}” …`, "in-progress", { autoClose: false });
      try {
        panel.model.setMetadata("bdap", { ...(panel.model.getMetadata("bdap") || {}), dashboard: kept });
        await panel.context.save();
        return await ask("bdap/publish", { path: panel.context.localPath, ...values });
      } finally {
        Notification.dismiss(progress);
      }
    }

    /** Show the cell that failed, behind the dialog. */
    function select(panel, index) {
      if (index >= panel.content.widgets.length) return; // it was changed meanwhile
      panel.content.activeCellIndex = index;
      panel.content.scrollToItem?.(index, "center");
    }

    async function publish(panel) {
      const info = await ask("bdap/info");
      if (info.problem) throw info.problem;
      const path = panel.context.localPath;
      const folder = await ask(`bdap/folder?path=${encodeURIComponent(path)}`).catch((failure) => ({
        problem: { message: failure.message, remedy: failure.remedy || "publish the notebook alone" },
      }));
      const title = titleOf(path);
      const before = (panel.model.getMetadata("bdap") || {}).dashboard;
      let values = { title, slug: slugOf(title, info.slug_length), description: "", visibility: "project", folder: Boolean(folder.meant), ...before };
      let error = before?.folder && folder.problem ? { ...folder.problem, message: `Its folder cannot go along: ${folder.problem.message}` } : undefined;
      for (;;) {
        const { node, read } = form(values, info, folder, error);
        const buttons = [Dialog.cancelButton(), Dialog.okButton({ label: "Publish" })];
        const { button } = await showDialog({ title: "Publish as a dashboard", body: widget(node), buttons, focusNodeSelector: "#bdap-title" });
        if (!button.accept) return;
        values = read();
        error = check(values);
        if (error) continue;
        try {
          const kept = { ...values, folder: values.folder || Boolean(folder.problem && before?.folder) };
          return await celebrate(await send(panel, values, kept), values.title);
        } catch (failure) {
          if (failure.status === undefined) throw failure;
          error = failure;
          if (failure.cell) select(panel, failure.cell.index);
          if (failure.cell && !values.folder && !folder.problem && MISSING.test(failure.cell.error)) error.remedy += "; if it needs a file beside it, publish its folder";
        }
      }
    }

    function activate(app, tracker, palette, menu) {
      if (!tracker) return; // Voilà loads labextensions too, and has no notebooks to publish
      document.head.append(element("style", { textContent: STYLE }));
      app.commands.addCommand(COMMAND, {
        label: "Publish Notebook as Dashboard…",
        caption: "Publish this notebook as a dashboard of the project",
        icon,
        isEnabled: () => tracker.currentWidget !== null && tracker.currentWidget === app.shell.currentWidget,
        execute: () => publish(tracker.currentWidget).catch((error) => explain({ message: String(error.message || error), remedy: error.remedy })),
      });
      app.docRegistry.addWidgetExtension("Notebook", {
        createNew(panel) {
          const button = new apputils.ToolbarButton({
            className: "bdap-button",
            label: "Publish",
            icon,
            tooltip: "Publish this notebook as a dashboard",
            onClick: () => publish(panel).catch((error) => explain({ message: String(error.message || error), remedy: error.remedy })),
          });
          if (!panel.toolbar.insertAfter("cellType", "bdapPublish", button)) panel.toolbar.addItem("bdapPublish", button);
          return button;
        },
      });
      if (palette) palette.addItem({ command: COMMAND, category: "Notebook Operations" });
      if (menu) menu.fileMenu.addGroup([{ command: COMMAND }], 40);
    }

    async function watch() {
      await import(new URL("sliders.js", HERE)); // names the sliders of widgets
      await import(new URL("tiles.js", HERE)); // asks again for tiles of maps
      const { watchStore } = await import(new URL("store.js", HERE));
      const option = coreutils.PageConfig.getOption;
      const home = option("hubPrefix") && `${option("hubHost")}${option("hubPrefix")}home`;
      watchStore({ ask, Notification, home });
    }

    const publishes = {
      id: `${NAME}:publish`,
      description: "Publishes a notebook as a dashboard of the platform.",
      autoStart: true,
      optional: [notebook.INotebookTracker, ICommandPalette, mainmenu.IMainMenu],
      activate,
    };
    const watches = {
      id: `${NAME}:store`,
      description: "Tells when the data store is away, and when it is back.",
      autoStart: true,
      optional: [notebook.INotebookTracker],
      activate: (app, tracker) => tracker && watch(), // not in Voilà, whose visitors have no server of their own
    };
    return [publishes, watches];
  }

  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB[NAME] = {
    init(given) {
      scope = given;
    },
    async get() {
      // Voilà and other applications load every extension but share no notebook: nothing to do there.
      const plugins = scope["@jupyterlab/notebook"] ? await extension() : [];
      return () => ({ __esModule: true, default: plugins });
    },
  };
})();
