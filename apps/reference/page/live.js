// One socket, which hears how the processing of each listed video goes.

const { WebSocket } = window;
const rooms = new Map();
let socket;
let asked = 0;

/** Hears of a video: `onJob` gets its job at every step. */
export function listen(videoId, onJob) {
  rooms.set(`video:${videoId}`, onJob);
  if (socket === undefined) connect();
  else if (socket.readyState === WebSocket.OPEN) join(`video:${videoId}`);
}

let missed = () => {};

/** Calls `look` when something may have been missed: the connection was lost, or the server says so. */
export function onMissed(look) {
  missed = look;
}

function join(room) {
  socket.send(JSON.stringify({ id: ++asked, join: room, after: {} }));
}

function connect(isAgain = false) {
  socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/ws`);
  socket.addEventListener("open", () => {
    for (const room of rooms.keys()) join(room);
    if (isAgain) missed();
  });
  socket.addEventListener("message", ({ data }) => {
    const message = JSON.parse(data);
    if (message.room !== undefined && message.data !== undefined) rooms.get(message.room)?.(message.data);
    if (message.gap !== undefined) missed();
  });
  // It ends with an instance, and at a sign-out. The next one may be at another instance.
  socket.addEventListener("close", () => setTimeout(() => connect(true), 500 + Math.random() * 1_000));
}
