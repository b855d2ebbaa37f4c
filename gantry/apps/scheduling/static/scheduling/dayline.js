// Moves a visit along the timeline or to another scanner's lane, by hand or by arrow keys. Letting go, or Enter, fills the
// form beside it and tries the change there: the server judges it, and whoever can do neither types the same three fields.
// One that has not been moved opens its page instead: why it is there.
const svg = document.querySelector('.dayline svg');
const form = document.querySelector('form[data-try]');
const said = document.querySelector('[data-moved]');
const HOUR = 60;

function unitsPerPixel() {
  return svg.viewBox.baseVal.width / svg.getBoundingClientRect().width;
}

function lanes() {
  return [...svg.querySelectorAll('.dayline__room')];
}

function laneAt(x, y) {
  const lane = document.elementsFromPoint(x, y).find((each) => each.classList.contains('dayline__room'));
  return lane ? lane.dataset.scanner : null;
}

function laneTop(scanner) {
  const lane = lanes().find((each) => each.dataset.scanner === scanner);
  return lane ? Number(lane.getAttribute('y')) : 0;
}

function laneName(scanner) {
  const lane = lanes().find((each) => each.dataset.scanner === scanner);
  return lane ? lane.dataset.name : '';
}

function clock(minute) {
  const within = Math.min(Math.max(minute, 0), 24 * 60 - 1);
  return `${String(Math.floor(within / 60)).padStart(2, '0')}:${String(within % 60).padStart(2, '0')}`;
}

function arrival(visit, moved) {
  return clock(Number(visit.dataset.arrival) + moved.minutes);
}

function unmoved(visit) {
  return { minutes: 0, scanner: visit.dataset.scanner };
}

function stays(visit, moved) {
  return moved.minutes === 0 && moved.scanner === visit.dataset.scanner;
}

function value(visit, moved) {
  visit.setAttribute('aria-valuenow', String(Number(visit.dataset.arrival) + moved.minutes));
  visit.setAttribute('aria-valuetext', `Arrives ${arrival(visit, moved)} on ${laneName(moved.scanner)}`);
}

function tryIt(visit, moved) {
  form.elements['change-appointment'].value = visit.dataset.appointment;
  form.elements['change-arrival'].value = arrival(visit, moved);
  form.elements['change-scanner'].value = moved.scanner;
  form.requestSubmit();
}

function dragging(visit, start) {
  const perMinute = Number(svg.dataset.perMinute);
  const grid = Math.max(5, Number(svg.dataset.grid));
  let moved = unmoved(visit);

  function move(event) {
    const minutes = Math.round(((event.clientX - start.clientX) * unitsPerPixel()) / perMinute / grid) * grid;
    const down = (event.clientY - start.clientY) * unitsPerPixel();
    visit.setAttribute('transform', `translate(${minutes * perMinute} ${down})`);
    moved = { minutes, scanner: laneAt(event.clientX, event.clientY) || visit.dataset.scanner };
    if (said) said.textContent = `Arrives ${arrival(visit, moved)} on ${laneName(moved.scanner)}`;
  }

  function stop() {
    visit.removeEventListener('pointermove', move);
    visit.classList.remove('dayline__visit--held');
  }

  function drop() {
    stop();
    if (stays(visit, moved)) {
      visit.removeAttribute('transform');
      window.location.assign(visit.dataset.why);
      return;
    }
    tryIt(visit, moved);
  }

  function cancel() {
    stop();
    visit.removeAttribute('transform');
  }

  visit.classList.add('dayline__visit--held');
  visit.addEventListener('pointermove', move);
  visit.addEventListener('pointerup', drop, { once: true });
  visit.addEventListener('pointercancel', cancel, { once: true });
}

function byKeys(visit) {
  const perMinute = Number(svg.dataset.perMinute);
  const grid = Math.max(5, Number(svg.dataset.grid));
  let moved = unmoved(visit);

  function show() {
    const down = laneTop(moved.scanner) - laneTop(visit.dataset.scanner);
    visit.setAttribute('transform', `translate(${moved.minutes * perMinute} ${down})`);
    visit.classList.toggle('dayline__visit--held', !stays(visit, moved));
    value(visit, moved);
    if (said) {
      said.textContent = stays(visit, moved)
        ? `Where it was: arrives ${arrival(visit, moved)} on ${laneName(moved.scanner)}`
        : `Arrives ${arrival(visit, moved)} on ${laneName(moved.scanner)}. Enter tries it, Escape puts it back`;
    }
  }

  function lane(step) {
    const refs = lanes().map((each) => each.dataset.scanner);
    const next = refs[refs.indexOf(moved.scanner) + step];
    if (next) moved.scanner = next;
  }

  visit.addEventListener('keydown', (event) => {
    const step = event.shiftKey ? HOUR : grid;
    const acts = {
      ArrowLeft: () => { moved.minutes -= step; },
      ArrowRight: () => { moved.minutes += step; },
      ArrowUp: () => lane(-1),
      ArrowDown: () => lane(1),
      Escape: () => { moved = unmoved(visit); },
    };
    if (event.key === 'Enter') {
      event.preventDefault();
      if (stays(visit, moved)) window.location.assign(visit.dataset.why);
      else tryIt(visit, moved);
    } else if (acts[event.key]) {
      event.preventDefault();
      event.stopPropagation();
      acts[event.key]();
      show();
    }
  });
  visit.addEventListener('blur', () => {
    moved = unmoved(visit);
    value(visit, moved);
    visit.removeAttribute('transform');
    visit.classList.remove('dayline__visit--held');
  });
}

if (svg && form) {
  // With script the drawing is a group of things to move; without it, a picture that the table tells in words.
  svg.setAttribute('role', 'group');
  for (const visit of svg.querySelectorAll('.dayline__visit')) {
    visit.setAttribute('tabindex', '0');
    visit.setAttribute('role', 'slider');
    visit.setAttribute('aria-label', `${visit.querySelector('title').textContent}. Enter says why it is there`);
    visit.setAttribute('aria-valuemin', '0');
    visit.setAttribute('aria-valuemax', String(24 * 60));
    value(visit, unmoved(visit));
    visit.addEventListener('pointerdown', (event) => {
      event.preventDefault();
      visit.setPointerCapture(event.pointerId);
      dragging(visit, event);
    });
    byKeys(visit);
  }
}
