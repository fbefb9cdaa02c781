/* The socket that tells when checkpoints come, go or change. Nothing is asked for: it only listens,
   and has the page run again when what is there is not what the page last listed. */

const NO_GRANT = 4401;         // the token is none of this server's: it was started anew
const LONGEST_WAIT = 30000;    // ms, between attempts
const UNTOLD_DELAY = 300;      // ms between looks whether Streamlit is there again

class Watch {
  constructor(root) {
    this.root = root;
    this.attempts = 0;
  }

  update(data, ask) {
    const other = data.token !== this.data?.token || data.path !== this.data?.path;
    this.data = data;
    this.ask = ask;
    this.asked = null;
    this.root.dataset.run = data.run;
    if (other) {
      this.attempts = 0;
      this.connect();
    }
  }

  connect() {
    this.close();
    if (!this.root.isConnected) return;
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const url = `${scheme}//${location.host}${this.data.path}`;
    const socket = this.socket = new WebSocket(url, [this.data.subprotocol, this.data.token]);
    socket.onmessage = (event) => this.hear(event.data);
    socket.onclose = (event) => this.lost(event);
    // What was asked before the connection broke may never have arrived.
    this.asked = null;
  }

  hear(digest) {
    if (!this.root.isConnected) { this.close(); return; }
    this.attempts = 0;
    this.root.dataset.phase = "live";
    if (digest === this.data.digest || digest === this.asked) return;
    this.asked = digest;
    this.tell(digest);
  }

  lost(event) {
    this.root.dataset.phase = "lost";
    // A run gives the page a session of the new server's, and with it a token.
    if (event.code === NO_GRANT) this.tell("token");
    this.attempts += 1;
    // Not all pages at once when the server is back.
    const wait = Math.min(LONGEST_WAIT, 500 * 2 ** this.attempts) * (0.75 + 0.5 * Math.random());
    this.timer = setTimeout(() => this.connect(), wait);
  }

  /* Has the page run again, once Streamlit's own line stands: after a restart it may come later. */
  tell(what) {
    clearTimeout(this.teller);
    if (!this.root.isConnected) return;
    const app = document.querySelector("[data-test-connection-state]");
    if (app && app.dataset.testConnectionState !== "CONNECTED") {
      this.teller = setTimeout(() => this.tell(what), UNTOLD_DELAY);
    } else this.ask("changed", what);
  }

  close() {
    clearTimeout(this.timer);
    if (!this.socket) return;
    this.socket.onmessage = this.socket.onclose = null;
    this.socket.close();
    this.socket = null;
  }
}

export default function show({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(".checkpoint-watch");
  root.watch ??= new Watch(root);
  root.watch.update(data, setTriggerValue);
  return () => {
    // Also called when newer data overtook this call; the socket ends only when its root has left.
    if (!root.isConnected && root.watch) {
      root.watch.close();
      root.watch = null;
    }
  };
}
