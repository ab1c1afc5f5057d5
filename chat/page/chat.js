'use strict';
// The browser's side of the chat. What comes from the server is put into the page as text nodes only: the
// page's policy lets nothing else pass.

const VERSION = 1;
// How long to wait before trying again: a random part of BASE * 2^attempts, of CAP at most, in ms.
const BASE = 500;
const CAP = 30_000;
// How long connecting may take, how often to ask whether the server is there, and how long it may think.
const PATIENCE = 10_000;
const HEARTBEAT = 25_000;
// How much the page keeps: entries shown, and ids known.
const MAX_ENTRIES = 500;
const MAX_KNOWN = 2_000;
// Errors after which to try again makes no sense before something else was entered.
const FINAL = new Set(['bad-name', 'bad-room', 'bad-version', 'room-full', 'no-more-rooms']);

const $ = (id) => document.getElementById(id);
const [body, log, text] = [document.body, $('log'), $('text')];

/** The room that we are in, or on the way to; nothing at the entrance. */
let visit = null;
let unread = 0;
/** Whether the last message is in view, and is to stay there. */
let follows = true;

class Visit {
  constructor(name, room) {
    Object.assign(this, { name, room, socket: null, limits: null, online: false, wasOnline: false });
    Object.assign(this, { attempts: 0, timer: null, ticker: null, heartbeat: null, over: false });
    this.last = null; // The id of the last message that we have.
    this.known = new Set(); // Ids of what is shown, and keys with whose they are.
    this.pending = new Map(); // Our own messages by key, until they come back.
    this.people = new Set();
  }

  connect() {
    clearTimeout(this.timer);
    clearInterval(this.ticker);
    $('retry').hidden = true;
    setStatus('lost', this.wasOnline ? 'Connecting again…' : 'Connecting…');
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    const socket = new WebSocket(`${scheme}://${location.host}/ws`);
    this.socket = socket;
    this.timer = setTimeout(() => this.lose(socket), PATIENCE);
    socket.onopen = () => {
      this.tell({ type: 'hello', version: VERSION, name: this.name });
      this.tell({ type: 'join', room: this.room, ...(this.last && { after: this.last }) });
    };
    socket.onmessage = ({ data }) => this.socket === socket && this.hear(JSON.parse(data));
    socket.onclose = () => this.lose(socket);
  }

  tell(request) {
    this.socket.send(JSON.stringify(request));
  }

  hear(event) {
    switch (event.type) {
      case 'welcome':
        [this.name, this.limits] = [event.name, event.limits];
        return;
      case 'joined':
        return this.arrive(event);
      case 'message':
        return this.show(event);
      case 'presence':
        return this.meet(event);
      case 'pong':
        return this.beat();
      case 'error':
        return this.fail(event);
    }
  }

  arrive({ room, people, messages, resumed }) {
    clearTimeout(this.timer);
    const isBack = this.wasOnline;
    Object.assign(this, { room, online: true, wasOnline: true, attempts: 0 });
    if (!isBack) {
      enterChat(this);
    }
    this.people = new Set(people);
    showPeople(this);
    setStatus('online', 'Connected');
    if (isBack) {
      note(resumed || !this.last ? 'Connected again.' : 'Connected again. Some messages may be missing.');
    }
    messages.forEach((message) => this.show(message));
    for (const [key, { text }] of this.pending) {
      this.tell({ type: 'say', room: this.room, text, key });
    }
    this.beat();
  }

  /** The server is there: asks again in a while, and gives it up if it does not answer. */
  beat() {
    clearTimeout(this.heartbeat);
    const socket = this.socket;
    this.heartbeat = setTimeout(() => {
      this.tell({ type: 'ping' });
      this.heartbeat = setTimeout(() => this.lose(socket), PATIENCE);
    }, HEARTBEAT);
  }

  show(message) {
    const { id, name, key } = message;
    // Another's key is another key.
    const tag = key && `${key} of ${name}`;
    const mine = name === this.name && this.pending.get(key);
    this.last = id;
    if (mine) {
      this.pending.delete(key);
      this.remember(id, tag);
      // What others said meanwhile came before it.
      mine.entry.remove();
      append(makeEntry(message, 'mine'), true);
    } else if (!this.known.has(id) && !this.known.has(tag)) {
      this.remember(id, tag);
      append(makeEntry(message, name === this.name ? 'mine' : 'theirs'), false);
      if (document.hidden) {
        unread += 1;
        setTitle();
      }
    }
  }

  /** A key as well: a message said again to a new server has another id there. */
  remember(...names) {
    names.filter(Boolean).forEach((name) => this.known.add(name));
    for (const oldest of this.known) {
      if (this.known.size <= MAX_KNOWN) break;
      this.known.delete(oldest);
    }
  }

  meet({ name, change }) {
    if (change === 'joined') {
      this.people.add(name);
    } else {
      this.people.delete(name);
    }
    showPeople(this);
    note(`${isolate(name)} ${change === 'joined' ? 'is here' : 'has left'}.`);
  }

  say(text) {
    const key = randomKey();
    const entry = makeEntry({ name: this.name, text, time: Date.now() }, 'mine pending');
    this.pending.set(key, { text, entry });
    append(entry, true);
    if (this.online) {
      this.tell({ type: 'say', room: this.room, text, key });
    } else {
      addNote(entry, 'Not sent yet: waiting for the connection');
    }
  }

  fail({ code, message, key }) {
    const mine = key && this.pending.get(key);
    if (mine) {
      this.pending.delete(key);
      mine.entry.classList.replace('pending', 'failed');
      addNote(mine.entry, `Not sent: ${message}`);
    } else if (FINAL.has(code)) {
      leave(code === 'bad-version' ? 'This page is older than the server. Load it again.' : sentence(message));
    } else if (!this.online) {
      this.lose(this.socket);
    } else {
      note(sentence(message), 'strong');
    }
  }

  /** Once for each connection: sees to the next one. */
  lose(socket) {
    if (this.over || this.socket !== socket) return;
    this.drop();
    if (this.online) {
      this.online = false;
      note('Connection lost.', 'strong');
      for (const { entry } of this.pending.values()) {
        addNote(entry, 'Not sent yet: waiting for the connection');
      }
    }
    const most = Math.min(CAP, BASE * 2 ** Math.min(this.attempts, 16));
    const due = Date.now() + Math.random() * most;
    this.attempts += 1;
    this.timer = setTimeout(() => this.connect(), due - Date.now());
    const tick = () => {
      const seconds = Math.ceil((due - Date.now()) / 1000);
      $('next').textContent = `Next try ${seconds > 1 ? `in ${seconds} s` : 'soon'}.`;
    };
    setStatus('lost', this.wasOnline ? 'Connection lost.' : 'Cannot connect.');
    tick();
    this.ticker = setInterval(tick, 1000);
    $('retry').hidden = false;
    if (!this.wasOnline) {
      $('refusal').textContent = 'The server does not answer. Trying again…';
    }
  }

  /** At once, where a wait is under way. */
  hurry() {
    if (this.socket === null && !this.over) this.connect();
  }

  drop() {
    const { socket } = this;
    this.socket = null;
    [this.timer, this.heartbeat].forEach(clearTimeout);
    clearInterval(this.ticker);
    socket?.close();
  }

  end() {
    this.over = true;
    this.drop();
  }
}

function enterChat(visit) {
  $('entrance').hidden = true;
  $('chat').hidden = false;
  $('title').textContent = visit.room;
  history.replaceState(null, '', `#${encodeURIComponent(visit.room)}`);
  setTitle();
  countLeft();
  text.focus();
}

/** Back to the entrance. */
function leave(why) {
  visit?.end();
  visit = null;
  log.replaceChildren();
  [text.value, unread, follows] = ['', 0, true];
  $('empty').hidden = false;
  $('chat').hidden = true;
  $('entrance').hidden = false;
  $('refusal').textContent = why;
  body.classList.remove('online', 'lost');
  showSide(false);
  setTitle();
  $('name').focus();
}

function makeEntry({ name, text, time }, kind) {
  const entry = make('div', `entry ${kind}`);
  entry.dataset.name = name;
  entry.style.setProperty('--hue', hue(name));
  const head = make('div', 'head');
  const at = new Date(time);
  const clock = make('time', '', at.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }));
  clock.dateTime = at.toISOString();
  clock.title = at.toLocaleString();
  head.append(make('bdi', '', name), clock);
  const bubble = make('div', 'bubble', text);
  bubble.dir = 'auto';
  entry.append(head, bubble);
  return entry;
}

function addNote(entry, text) {
  entry.querySelector('.note')?.remove();
  entry.append(make('p', 'note', text));
}

function note(text, kind = '') {
  append(make('p', `event ${kind}`, text), false);
}

/** Puts something at the end, which stays in view if it was, or if we have said it ourselves. */
function append(entry, isOurs) {
  const before = log.lastElementChild;
  entry.classList.toggle('first', before?.dataset.name !== entry.dataset.name);
  log.append(entry);
  while (log.childElementCount > MAX_ENTRIES) {
    log.firstElementChild.remove();
  }
  $('empty').hidden = true;
  if (follows || isOurs) {
    showLast();
  } else if (entry.classList.contains('entry')) {
    $('newer').hidden = false;
  }
}

function showLast() {
  follows = true;
  log.scrollTop = log.scrollHeight;
}

function showPeople(visit) {
  const names = [...visit.people].sort((a, b) => a.localeCompare(b));
  $('count').textContent = names.length;
  $('people').replaceChildren(...names.map((name) => {
    const person = make('li');
    const [initial] = name.match(/[\p{L}\p{N}]/u) ?? name.match(/./su);
    const face = make('span', 'face', initial.toLocaleUpperCase());
    face.ariaHidden = 'true';
    face.style.setProperty('--hue', hue(name));
    person.append(face, make('bdi', '', name));
    if (name === visit.name) person.append(make('span', 'you', 'you'));
    return person;
  }));
}

function setStatus(kind, text) {
  body.classList.toggle('online', kind === 'online');
  body.classList.toggle('lost', kind === 'lost');
  // This is read out; the countdown beside it is not.
  $('status-text').textContent = text;
  $('next').textContent = '';
}

function setTitle() {
  const room = visit?.wasOnline ? `#${visit.room} · Chat` : 'Chat';
  document.title = unread ? `(${unread}) ${room}` : room;
}

function countLeft() {
  text.style.height = 'auto';
  text.style.height = `${text.scrollHeight + 2}px`;
  const left = (visit?.limits?.text ?? Infinity) - [...text.value].length;
  const count = left < 0 ? `${-left} characters too many` : `${left} characters left`;
  $('left').textContent = left < 200 ? count : '';
  $('left').classList.toggle('over', left < 0);
  return left >= 0;
}

function showSide(shown) {
  body.classList.toggle('people-shown', shown);
  $('toggle').ariaExpanded = String(shown);
}

function make(tag, kind = '', text = '') {
  const element = document.createElement(tag);
  element.className = kind;
  element.textContent = text;
  return element;
}

/** The same colour for the same name, everywhere. */
function hue(name) {
  let hash = 0;
  for (const c of name) hash = (hash * 31 + c.codePointAt(0)) % 360;
  return hash;
}

/** Keeps a name's direction of writing to itself. */
const isolate = (name) => `\u2068${name}\u2069`;
const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;

function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Storage may be forbidden. */
function stored(value) {
  try {
    if (value === undefined) return localStorage.getItem('name') ?? '';
    localStorage.setItem('name', value);
  } catch { /* Then the name is typed again. */ }
  return '';
}

function roomOfAddress() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return '';
  }
}

$('enter').addEventListener('submit', (event) => {
  event.preventDefault();
  const [name, room] = [$('name').value.trim(), $('room').value.trim()];
  $('refusal').textContent = '';
  stored(name);
  visit?.end();
  visit = new Visit(name, room);
  visit.connect();
});

$('compose').addEventListener('submit', (event) => {
  event.preventDefault();
  const said = text.value.trim();
  if (said && countLeft()) {
    visit.say(said);
    text.value = '';
    countLeft();
  }
  text.focus();
});

text.addEventListener('input', countLeft);
text.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $('compose').requestSubmit();
  }
});

$('leave').addEventListener('click', () => leave(''));
$('retry').addEventListener('click', () => {
  text.focus();
  visit.hurry();
});
$('toggle').addEventListener('click', () => showSide(!body.classList.contains('people-shown')));
$('newer').addEventListener('click', () => {
  showLast();
  text.focus();
});
log.addEventListener('scroll', () => {
  follows = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  if (follows) $('newer').hidden = true;
});
// A keyboard comes up, or the text has another line.
new ResizeObserver(() => follows && showLast()).observe(log);
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && body.classList.contains('people-shown')) {
    showSide(false);
    $('toggle').focus();
  }
});
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) {
    unread = 0;
    setTitle();
    visit?.hurry();
  }
});
addEventListener('online', () => visit?.hurry());

$('name').value = stored();
$('room').value = roomOfAddress() || 'lobby';
$('name').focus();
