/*
 * Tells people in JupyterLab that the data store is away, and that it is back. Asks their own server, and only while somebody
 * looks: a page in the background asks nothing.
 */
const EVERY = 15000; // milliseconds

/** `ask(path)`: the answer of the server; `home`: the platform's home page, "" where there is none. */
export function watchStore({ ask, Notification, home }) {
  let shown = null; // the notification of the present outage

  const actions = home
    ? [{ label: "Home page", caption: "What is known of the store", callback: () => window.open(home, "_blank", "noopener") }]
    : [];

  function tell({ away, mount }) {
    if (away && !shown) {
      // JupyterLab cuts notifications at 140 characters: a long path stands where nothing else is lost.
      const words = `The data store does not answer. It comes back by itself; your home folder and kernels go on. Away: ${mount}`;
      shown = Notification.warning(words, { autoClose: false, actions });
    } else if (!away && shown) {
      // Closed by its person meanwhile, it cannot be changed any more.
      Notification.dismiss(shown);
      Notification.success(`The data store is back: its files can be read and saved again, below ${mount}`, { autoClose: 10000 });
      shown = null;
    }
  }

  async function look() {
    if (document.hidden) return;
    try {
      tell(await ask("bdap/store?no_track_activity=1"));
    } catch {
      // A server that does not answer is told by JupyterLab itself.
    }
  }

  document.addEventListener("visibilitychange", look);
  setInterval(look, EVERY);
  look();
}
